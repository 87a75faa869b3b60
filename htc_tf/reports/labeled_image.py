"""An image with its boxes, masks, classes and semantic map, and pictures of it."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from htc_tf.data import mask_codec
from htc_tf.visualization import draw, labels, semantic

_MAX_ENLARGEMENT = 8


class LabeledImage(NamedTuple):
  """An image with its ground truth.

  Attributes:
    pixels: [height, width, 3] uint8 RGB.
    boxes: [num, 4] yxyx in pixels of the image.
    classes: [num] int, 1 for the first class.
    is_crowd: [num] bool, whether an instance is a crowd region.
    masks: COCO run-length encodings of the size of the image; None if there are no masks. Whole
      masks of many objects on many images would need gigabytes.
    semantic: [height, width] uint8, 255 where ignored; None if there is no semantic map.
  """

  pixels: np.ndarray
  boxes: np.ndarray
  classes: np.ndarray
  is_crowd: np.ndarray
  masks: list[dict[str, Any]] | None = None
  semantic: np.ndarray | None = None


def fitted(labeled: LabeledImage, side: int) -> LabeledImage:
  """A labeled image whose longer side has a length, so that lines and texts suit a picture of it.

  An image is enlarged at most eight times.

  Args:
    labeled: the image with its ground truth.
    side: length of the longer side in pixels.
  """
  height, width = labeled.pixels.shape[:2]
  scale = min(side / max(height, width), _MAX_ENLARGEMENT)
  size = (max(1, round(width * scale)), max(1, round(height * scale)))
  if size == (width, height):
    return labeled
  smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
  factors = np.array([size[1] / height, size[0] / width] * 2)
  return labeled._replace(
    pixels=cv2.resize(labeled.pixels, size, interpolation=smooth),
    boxes=labeled.boxes * factors,
    masks=None if labeled.masks is None else _resized(labeled.masks, size),
    semantic=None if labeled.semantic is None else _nearest(labeled.semantic, size),
  )


def draw_objects(labeled: LabeledImage, names: Sequence[str]) -> np.ndarray:
  """The image with its instances: masks, boxes and names; see `draw.draw_instances`.

  Args:
    labeled: the image with its ground truth.
    names: names of the classes, class 1 first.
  """
  names = [labels.single_line(name) for name in names]
  # Crowd regions are drawn as classes of their own.
  classes = labeled.classes + len(names) * labeled.is_crowd
  names += [f'{name} (crowd)' for name in names]
  return draw.draw_instances(labeled.pixels, labeled.boxes, labeled.masks, classes, None, names)


def draw_semantic(labeled: LabeledImage, names: dict[int, str]) -> np.ndarray | None:
  """The semantic map with a legend below; None if there is no map.

  Args:
    labeled: the image with its ground truth.
    names: names of the labels of the map.
  """
  if labeled.semantic is None:
    return None
  drawn = semantic.draw_semantic(labeled.pixels, labeled.semantic)
  printable = {label: labels.single_line(name) for label, name in names.items()}
  entries = semantic.legend_entries(labeled.semantic, printable)
  return np.concatenate([drawn, semantic.draw_legend(entries, drawn.shape[1])], axis=0)


def encoded_masks(masks: Iterable[np.ndarray], size: tuple[int, int]) -> list[dict[str, Any]]:
  """COCO run-length encodings of masks at another size.

  Args:
    masks: [height, width] of each mask; an iterator need not hold all of them at the same time.
    size: width and height of the result.
  """
  return [mask_codec.encode(_nearest(mask.astype(np.uint8), size)) for mask in masks]


def _resized(masks: Sequence[dict[str, Any]], size: tuple[int, int]) -> list[dict[str, Any]]:
  return encoded_masks(map(mask_codec.decode, masks), size)


def _nearest(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  return cv2.resize(array, size, interpolation=cv2.INTER_NEAREST)
