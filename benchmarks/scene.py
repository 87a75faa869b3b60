"""Inputs of both sides of a comparison: a synthetic image, its objects, RoIs and detections.

This module needs only NumPy, because the environment of the peer imports it too. Everything is a
function of the size.
"""

import importlib.util
import json
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

CONFIG = 'htc_r50_fpn_1x_coco'  # name of the compared model in mmdetection
NUM_ROIS = 1000
NUM_CLASSES = 80
CHANNELS = 256
STRIDES = (4, 8, 16, 32)
_PADDED_COLUMNS = 11  # an image of 800x1333 is padded to 800x1344
_ORIGINAL_SCALE = 0.6  # 800x1333 comes from 480x800
_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_WEIGHTS = pathlib.Path(__file__).parents[1] / 'parity' / 'extract' / 'weights.py'


class SceneSizes(NamedTuple):
  """Sizes of the image on its way through the model, (height, width) in pixels.

  Attributes:
    padded: size of the network input.
    image: size without padding.
    original: size before resizing, at which masks are pasted.
  """

  padded: tuple[int, int]
  image: tuple[int, int]
  original: tuple[int, int]

  @classmethod
  def parse(cls, text: str) -> 'SceneSizes':
    """The sizes that belong to a size of the network input.

    Args:
      text: 'HEIGHTxWIDTH'.

    Raises:
      ValueError: the text has another form, or a side is not a positive multiple of 32.
    """
    found = re.fullmatch(r'(\d+)x(\d+)', text)
    height, width = (int(side) for side in found.groups()) if found else (0, 0)
    if min(height, width) < 32 or height % 32 or width % 32:
      raise ValueError(f'A size must consist of multiples of 32, such as 800x1344; got {text}')
    image = (height, width - _PADDED_COLUMNS)
    original = round(image[0] * _ORIGINAL_SCALE), round(image[1] * _ORIGINAL_SCALE)
    return cls((height, width), image, original)


class Weights(Mapping[str, np.ndarray]):
  """Weights that both models load: a state_dict of mmdetection, a function of names and shapes.

  With these weights, the RPN proposes NUM_ROIS boxes and about 100 detections remain, so every part
  of the model has as much work as with trained weights. An entry is generated whenever it is read,
  because all entries together with a model would determine the peak memory.
  """

  def __init__(self) -> None:
    spec = importlib.util.spec_from_file_location('seeded_weights', _WEIGHTS)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    self._make = module.mmdet_weight
    shapes = _WEIGHTS.with_name(f'mmdet_{CONFIG}_shapes.json').read_text(encoding='ascii')
    self.shapes = {name: tuple(shape) for name, shape in json.loads(shapes)}

  def __getitem__(self, name: str) -> np.ndarray:
    return self._make(name, self.shapes[name], CONFIG)

  def __iter__(self) -> Iterator[str]:
    return iter(self.shapes)

  def __len__(self) -> int:
    return len(self.shapes)


def network_input(sizes: SceneSizes) -> np.ndarray:
  """The synthetic image, [height, width, 3] float32 RGB, normalized and padded with zeros."""
  height, width = sizes.image
  rng = np.random.default_rng(7)
  y, x = np.mgrid[0:height, 0:width].astype(np.float32)
  image = np.full((height, width, 3), 120, np.float32)
  for channel in range(3):
    for _ in range(4):
      frequency_y, frequency_x = rng.uniform(-0.06, 0.06, 2)
      phase = 2 * np.pi * (frequency_x * x + frequency_y * y) + rng.uniform(0, 6.28)
      image[..., channel] += 22 * np.sin(phase)
  for _ in range(14):
    side, aspect = rng.uniform(8, 90), rng.uniform(0.3, 0.9)
    distance_x, distance_y = x - rng.uniform(0, width), y - rng.uniform(0, height)
    inside = (np.abs(distance_x) < side / 2) & (np.abs(distance_y) < side * aspect)
    image[inside] = 0.25 * image[inside] + 0.75 * rng.uniform(0, 255, 3)
  padded = np.zeros((*sizes.padded, 3), np.float32)
  padded[:height, :width] = (np.clip(np.rint(image), 0, 255) - _MEAN) / _STD
  return padded


def boxes(sizes: SceneSizes, num: int, seed: int = 0) -> np.ndarray:
  """Random boxes [num, 4] float32 yxyx within the image; sides of 16 pixels or more, log-uniform.

  Args:
    sizes: sizes of the image.
    num: number of boxes.
    seed: seed of the random numbers.
  """
  rng = np.random.default_rng(seed)
  limits = np.array(sizes.image)
  sides = np.exp(rng.uniform(np.log(16), np.log(0.9 * min(limits)), (num, 1)))
  sides = np.minimum(sides * np.exp(rng.uniform(-0.6, 0.6, (num, 2))), 0.98 * limits)
  low = rng.uniform(0, 1, (num, 2)) * (limits - sides)
  return np.concatenate([low, low + sides], axis=1).astype(np.float32)


def pyramid(sizes: SceneSizes) -> list[np.ndarray]:
  """Random maps [1, height / stride, width / stride, CHANNELS] of P2 to P5."""
  rng = np.random.default_rng(1)
  height, width = sizes.padded
  return [
    rng.standard_normal((1, height // stride, width // stride, CHANNELS), np.float32)
    for stride in STRIDES
  ]


class GroundTruth(NamedTuple):
  """Ground truth of the image in padded pixels.

  Attributes:
    boxes: [num, 4] float32 yxyx on whole pixels.
    labels: [num] 0..79.
    masks: [num, height, width] uint8 of the padded image; each fills its box.
    semantic: [height, width] uint8 of the padded image, 0..182.
  """

  boxes: np.ndarray
  labels: np.ndarray
  masks: np.ndarray
  semantic: np.ndarray


def ground_truth(sizes: SceneSizes, num: int = 8) -> GroundTruth:
  """Ground truth of the image, with `num` objects."""
  rng = np.random.default_rng(3)
  corners = np.rint(boxes(sizes, num, seed=4)).astype(int)
  masks = np.zeros((num, *sizes.padded), np.uint8)
  for mask, (top, left, bottom, right) in zip(masks, corners):
    mask[top:bottom, left:right] = 1
  return GroundTruth(
    corners.astype(np.float32),
    rng.integers(0, NUM_CLASSES, num),
    masks,
    rng.integers(0, 183, sizes.padded).astype(np.uint8),
  )


class Detected(NamedTuple):
  """Detections of an image.

  Attributes:
    boxes: [num, 4] float32 yxyx in padded pixels.
    scores: [num] float32, descending.
    labels: [num] 0..79.
    masks: [num, 28, 28] float32 probabilities.
  """

  boxes: np.ndarray
  scores: np.ndarray
  labels: np.ndarray
  masks: np.ndarray


def detections(sizes: SceneSizes, seed: int, num: int = 100) -> Detected:
  """Detections of ten classes with blob-like masks.

  Args:
    sizes: sizes of the image.
    seed: seed of the random numbers.
    num: number of detections.
  """
  rng = np.random.default_rng(seed)
  y, x = np.mgrid[0:28, 0:28] / 28 - 0.5
  angle = np.arctan2(y, x)
  waves, phases = rng.integers(2, 7, (num, 1, 1)), rng.uniform(0, 6.28, (num, 1, 1))
  radius = rng.uniform(0.35, 0.5, (num, 1, 1)) * (1 + 0.25 * np.sin(angle * waves + phases))
  masks = 1 / (1 + np.exp((np.hypot(y, x) / radius - 1) * 12))
  return Detected(
    boxes(sizes, num, seed),
    np.sort(rng.uniform(0.05, 1, num))[::-1],
    rng.choice(rng.choice(NUM_CLASSES, 10, replace=False), num),
    masks.astype(np.float32),
  )


def annotations(sizes: SceneSizes, num_images: int) -> dict[str, list[dict[str, Any]]]:
  """COCO annotations of images 1..num_images: the first seven detections per image, as ellipses."""
  images: list[dict[str, Any]] = []
  objects: list[dict[str, Any]] = []
  scale = sizes.original[0] / sizes.image[0], sizes.original[1] / sizes.image[1]
  angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
  circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)  # [24, xy]
  for image in range(1, num_images + 1):
    images.append(
      {
        'id': image,
        'height': sizes.original[0],
        'width': sizes.original[1],
        'file_name': f'{image}.jpg',
      }
    )
    found = detections(sizes, image)
    for box, label in zip(found.boxes[:7], found.labels):
      top, left, bottom, right = (float(side) for side in box * (scale * 2))
      size = right - left, bottom - top
      polygon = np.array([left, top]) + np.array(size) * (1 + circle) / 2  # [24, xy]
      objects.append(
        {
          'id': len(objects) + 1,
          'image_id': image,
          'category_id': int(label) + 1,
          'bbox': [left, top, *size],
          'iscrowd': 0,
          'area': 0.78 * size[0] * size[1],
          'segmentation': [polygon.round(2).ravel().tolist()],
        }
      )
  categories = [{'id': label + 1, 'name': f'class {label}'} for label in range(NUM_CLASSES)]
  return {'images': images, 'annotations': objects, 'categories': categories}
