"""Generated pictures of dates, figs and hazelnuts: `python -m benchmarks.still_lifes`.

The documentation and the tests need a small data set of three classes that anybody can make again.
No package that could be used here ships annotated photographs of several classes, so these pictures
are generated: shaded and textured fruits with shadows on cloth, stone or wood, in varying light.
The masks are exact. Figures on them say that a program works; they say nothing about photographs.
"""

import argparse
import json
import os
import sys
from typing import Any, NamedTuple

import cv2
import numpy as np

from benchmarks.arguments import at_least
from htc_tf import progress
from htc_tf.cli import command

HEIGHT, WIDTH = 600, 800
CLASSES = ('date', 'fig', 'hazelnut')
_SEED = 7
_NUM_PICTURES = 18
_MIN_FRUITS, _MAX_FRUITS = 6, 15
# Mean colors in the order of OpenCV: blue, green, red.
_COLORS = ((28, 45, 90), (70, 110, 105), (60, 110, 170))
_GROUNDS = ((150, 180, 200), (200, 200, 200), (110, 130, 150))
_WOOD = 0  # Index of the ground with a grain.
_SHADOW_OFFSET, _SHADOW_BLUR, _SHADOW_DEPTH = (6, 8), 7, 0.45
_TRIES = 40
_JPEG_QUALITY = 88


class Fruit(NamedTuple):
  """A fruit in a picture.

  Attributes:
    class_index: index in `CLASSES`.
    outline: [points, 2] float x, y in pixels.
    center: [2] float x, y in pixels.
    radius: radius of a circle around it in pixels.
  """

  class_index: int
  outline: np.ndarray
  center: np.ndarray
  radius: float


def write(
  folder: str,
  number: int = _NUM_PICTURES,
  seed: int = _SEED,
  labelme: bool = False,
  skip: int = 0,
) -> None:
  """Write pictures `images/picture_01.jpg`, ... and annotations.

  Args:
    folder: output folder; it is created if missing.
    number: number of pictures.
    seed: seed of all random choices.
    labelme: whether the annotations are files of LabelMe beside the pictures, instead of one file
      `all.json` in the format of COCO.
    skip: number of pictures, the first ones, that are not written.
  """
  images = os.path.join(folder, 'images')
  os.makedirs(images, exist_ok=True)
  rng = np.random.default_rng(seed)
  annotated = []
  for index in progress.track(range(1, number + 1), description='painting', unit='picture'):
    picture, fruits = paint(rng)
    if index <= skip:
      continue
    name = f'picture_{index:02}'
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    cv2.imwrite(os.path.join(images, f'{name}.jpg'), picture, quality)
    annotated.append((f'{name}.jpg', fruits))
    if labelme:
      _write_json(os.path.join(images, f'{name}.json'), _labelme_content(f'{name}.jpg', fruits))
  if not labelme:
    _write_json(os.path.join(folder, 'all.json'), _coco_content(annotated))


def paint(rng: np.random.Generator) -> tuple[np.ndarray, list[Fruit]]:
  """A picture [HEIGHT, WIDTH, 3] uint8 in the order of OpenCV, and its fruits."""
  picture = _ground(rng)
  fruits = _arrange(rng)
  for fruit in fruits:
    picture = _with_fruit(picture, fruit, rng)
  rows, columns = np.mgrid[:HEIGHT, :WIDTH]
  slopes = rng.uniform(-0.2, 0.2, 2)
  light = 1 + slopes[0] * (columns / WIDTH - 0.5) + slopes[1] * (rows / HEIGHT - 0.5)
  picture *= light[..., np.newaxis] * rng.uniform(0.8, 1.15)
  picture = cv2.GaussianBlur(picture, (0, 0), 0.8) + rng.normal(0, 4, picture.shape)
  return np.clip(picture, 0, 255).astype(np.uint8), fruits


def _arrange(rng: np.random.Generator) -> list[Fruit]:
  """Fruits that hardly overlap, all inside the picture."""
  size = rng.uniform(0.8, 1.25)
  fruits: list[Fruit] = []
  for _ in range(rng.integers(_MIN_FRUITS, _MAX_FRUITS + 1)):
    class_index = int(rng.integers(len(CLASSES)))
    outline, radius = _outline(class_index, rng)
    outline, radius = outline * size, radius * size
    for _ in range(_TRIES):
      center = rng.uniform([radius, radius], [WIDTH - radius, HEIGHT - radius])
      if all(np.hypot(*(center - f.center)) > 0.82 * (radius + f.radius) for f in fruits):
        fruits.append(Fruit(class_index, outline + center, center, radius))
        break
  return fruits


def _outline(class_index: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
  """Outline [60, 2] of a fruit around the origin, and its radius."""
  long, short = (
    lambda: (rng.uniform(55, 75), rng.uniform(26, 34)),
    lambda: _nearly_round(rng.uniform(48, 62), rng),
    lambda: _nearly_round(rng.uniform(24, 32), rng),
  )[class_index]()
  angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
  bumps = 1 + 0.04 * np.cos(2 * angles + rng.uniform(0, 6))
  bumps += 0.03 * np.cos(3 * angles + rng.uniform(0, 6))
  x, y = long * bumps * np.cos(angles), short * bumps * np.sin(angles)
  if CLASSES[class_index] == 'fig':  # A fig has a neck.
    y = np.where(np.cos(angles) > 0.8, y * 0.8, y)
    x = np.where(np.cos(angles) > 0.9, x * 1.15, x)
  turn = rng.uniform(0, 2 * np.pi)
  rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
  return np.stack([x, y], 1) @ rotation, max(long, short)


def _nearly_round(radius: float, rng: np.random.Generator) -> tuple[float, float]:
  return radius, radius * rng.uniform(0.85, 1)


def _with_fruit(picture: np.ndarray, fruit: Fruit, rng: np.random.Generator) -> np.ndarray:
  """The picture [height, width, 3] float with a fruit and its shadow."""
  shadow = _filled(fruit.outline + _SHADOW_OFFSET).astype(np.float32)
  blurred = cv2.GaussianBlur(shadow, (0, 0), _SHADOW_BLUR)
  picture = picture * (1 - _SHADOW_DEPTH * blurred)[..., np.newaxis]
  mask = _filled(fruit.outline)
  inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
  roundness = np.sqrt(inside / max(inside.max(), 1e-6))
  rows, columns = np.mgrid[:HEIGHT, :WIDTH]
  light = (fruit.center.sum() - rows - columns) / (2 * fruit.radius)
  color = np.array(_COLORS[fruit.class_index], np.float32) + rng.normal(0, 8, 3)
  surface = color * (0.55 + 0.5 * roundness + 0.25 * light)[..., np.newaxis]
  surface += _texture(fruit.class_index, rng)[..., np.newaxis]
  opacity = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1)[..., np.newaxis]
  return picture * (1 - opacity) + surface * opacity


def _texture(class_index: int, rng: np.random.Generator) -> np.ndarray:
  """Changes of the brightness of a surface, [height, width] float."""
  is_date, is_nut = CLASSES[class_index] == 'date', CLASSES[class_index] == 'hazelnut'
  texture = _noise([(12, 4 if is_nut else 10), (3, 8 if is_date else 4)], rng)
  if is_date:  # Wrinkles.
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    texture += 8 * np.sin((columns * np.cos(1) + rows * np.sin(1)) / 4)
  return texture


def _ground(rng: np.random.Generator) -> np.ndarray:
  """The ground, [height, width, 3] float."""
  kind = int(rng.integers(len(_GROUNDS)))
  color = np.array(_GROUNDS[kind], np.float32) + rng.normal(0, 12, 3)
  if kind == _WOOD:
    grain = rng.normal(size=(HEIGHT // 3, 6)).astype(np.float32)
    texture = 14 * cv2.resize(grain, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
  else:
    texture = _noise([(64, 8), (8, 5), (1, 5)], rng)
  return color + texture[..., np.newaxis]


def _noise(scales: list[tuple[int, float]], rng: np.random.Generator) -> np.ndarray:
  """Smooth noise [height, width] float, the sum of noises of a grain in pixels and a deviation."""
  noise = np.zeros([HEIGHT, WIDTH], np.float32)
  for grain, deviation in scales:
    coarse = rng.normal(size=(HEIGHT // grain, WIDTH // grain)).astype(np.float32)
    noise += deviation * cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
  return noise


def _filled(outline: np.ndarray) -> np.ndarray:
  """Bitmap [height, width] uint8 of 0 and 1 of the inside of an outline."""
  mask = np.zeros([HEIGHT, WIDTH], np.uint8)
  cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 1)
  return mask


def _coco_content(annotated: list[tuple[str, list[Fruit]]]) -> dict[str, Any]:
  images: list[dict[str, Any]] = []
  annotations: list[dict[str, Any]] = []
  for image_id, (name, fruits) in enumerate(annotated, 1):
    images.append({'id': image_id, 'file_name': name, 'height': HEIGHT, 'width': WIDTH})
    for fruit in fruits:
      low, high = fruit.outline.min(0), fruit.outline.max(0)
      annotations.append(
        {
          'id': len(annotations) + 1,
          'image_id': image_id,
          'category_id': fruit.class_index + 1,
          'bbox': [*low.tolist(), *(high - low).tolist()],
          'area': float(_filled(fruit.outline).sum()),
          'iscrowd': 0,
          'segmentation': [fruit.outline.ravel().tolist()],
        }
      )
  categories = [{'id': id_, 'name': name} for id_, name in enumerate(CLASSES, 1)]
  return {'images': images, 'annotations': annotations, 'categories': categories}


def _labelme_content(name: str, fruits: list[Fruit]) -> dict[str, Any]:
  shapes = [
    {
      'label': CLASSES[fruit.class_index],
      'points': fruit.outline.tolist(),
      'group_id': None,
      'shape_type': 'polygon',
      'flags': {},
    }
    for fruit in fruits
  ]
  return {
    'version': '5.0.1',
    'flags': {},
    'shapes': shapes,
    'imagePath': name,
    'imageData': None,
    'imageHeight': HEIGHT,
    'imageWidth': WIDTH,
  }


def _write_json(path: str, content: dict[str, Any]) -> None:
  with open(path, 'w', encoding='utf-8') as file:
    json.dump(content, file)


def main(argv: list[str] | None = None) -> int:
  """Write the pictures and return the exit status; see `command.run`."""
  parser = argparse.ArgumentParser(prog='python -m benchmarks.still_lifes', description=__doc__)
  parser.add_argument('--output', default='build/fruits', help='folder (default: build/fruits)')
  parser.add_argument('--number', type=int, default=_NUM_PICTURES, help='number of pictures')
  parser.add_argument(
    '--skip',
    type=at_least(0),
    default=0,
    help='leave out the first ones, such as those that a model was trained on',
  )
  parser.add_argument('--labelme', action='store_true', help='write files of LabelMe')

  def execute(args: argparse.Namespace) -> int:
    write(args.output, args.number, labelme=args.labelme, skip=args.skip)
    return 0

  return command.run(parser, execute, argv, 'interrupted; the same command writes all files again')


if __name__ == '__main__':
  sys.exit(main())
