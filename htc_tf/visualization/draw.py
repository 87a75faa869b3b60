"""Drawing of instances on their image: masks, boxes, names and scores."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np

from htc_tf.data import mask_runs
from htc_tf.data.mask_runs import Window
from htc_tf.errors import InputError
from htc_tf.visualization import labels as labels_lib
from htc_tf.visualization import palette

Masks: TypeAlias = np.ndarray | Sequence[dict[str, Any]]

_MASK_ALPHA = 0.4
_SHADES = np.arange(256, dtype=np.uint8)[:, np.newaxis]
_MAX_LABELS = 1000  # Finding places takes time, and more of them hide the image.


def draw_instances(
  image: np.ndarray,
  boxes_original: np.ndarray,
  masks: Masks | None,
  classes: np.ndarray,
  scores: np.ndarray | None,
  names: Sequence[str],
  enlarge: int = 1,
  colors: Sequence[palette.Color] | None = None,
) -> np.ndarray:
  """The image with each instance as a translucent mask with outline, a box, a name and a score.

  Large instances are drawn first, so that small ones stay visible. Labels are written in the given
  order: with scores in descending order, the best ones have first choice of the free places. Only
  the first 1000 instances have labels.

  Args:
    image: [height, width, 3] uint8 RGB; not modified.
    boxes_original: [num, 4] yxyx in pixels of `image`.
    masks: [num, height, width] bool, or `num` COCO run-length encodings, or None for boxes only.
    classes: [num] int, 1 for the first of `names`.
    scores: [num], or None, as for ground truth.
    names: names of the foreground classes, class 1 first.
    enlarge: integer factor by which the image is enlarged before drawing, so that lines and labels
      are fine enough for a small image; see `legible_enlargement`.
    colors: color of each instance; None for colors that differ from one instance to the next.

  Returns:
    [height * enlarge, width * enlarge, 3] uint8 RGB.

  Raises:
    InputError: image, masks or boxes have another form, or their numbers differ.
  """
  image = _check_image(image)
  boxes = np.asarray(boxes_original, np.float64).reshape(-1, 4)
  _check_instances(image, boxes, masks, classes, scores)
  colors = colors or [palette.instance_color(index) for index in range(len(boxes))]
  canvas = _enlarged_image(image, enlarge)
  order = np.argsort(-(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), kind='stable')
  if masks is not None:
    for index in order:
      _draw_mask(canvas, _window(masks[index]), enlarge, colors[index])
  for index in order:
    _draw_box(canvas, boxes[index] * enlarge, colors[index])
  labels = _labels(boxes * enlarge, classes, scores, names, colors)
  return labels_lib.draw_labels(canvas, labels[:_MAX_LABELS])


def legible_enlargement(image_hw: tuple[int, int], min_side: int = 400) -> int:
  """The smallest integer factor by which the short side reaches at least `min_side` pixels.

  It is limited so that the long side does not exceed 2000 pixels, but is at least 1.
  """
  wanted = -(-min_side // min(image_hw))
  return max(1, min(wanted, 2000 // max(image_hw)))


def _labels(
  boxes: np.ndarray,
  classes: np.ndarray,
  scores: np.ndarray | None,
  names: Sequence[str],
  colors: Sequence[palette.Color],
) -> list[labels_lib.Label]:
  """Labels of name and score; the score alone is the shorter text."""
  labels = []
  for index, (box, label) in enumerate(zip(boxes, classes)):
    name = names[label - 1] if 1 <= label <= len(names) else f'class {label}'
    name = labels_lib.single_line(name)
    texts = [name]
    if scores is not None:
      score = f'{scores[index]:.2f}'
      texts = [f'{name} {score}', score]
    labels.append(labels_lib.Label(tuple(box), texts, colors[index]))
  return labels


def _draw_mask(canvas: np.ndarray, window: Window, enlarge: int, color: palette.Color) -> None:
  """Tint the pixels of a mask and draw its outline, in place."""
  mask = _enlarged_mask(window.bitmap, enlarge)
  if not mask.size:
    return
  top, left = window.top * enlarge, window.left * enlarge
  region = canvas[top : top + mask.shape[0], left : left + mask.shape[1]]
  tint = np.array(color, np.float32) * _MASK_ALPHA
  tinted = np.rint(_SHADES * (1 - _MASK_ALPHA) + tint).astype(np.uint8)  # [256, 3]
  for channel in range(3):
    region[mask, channel] = tinted[region[mask, channel], channel]
  kernel_side = 2 * _line_width(canvas) + 1
  inner = cv2.erode(
    mask.astype(np.uint8),
    np.ones((kernel_side, kernel_side), np.uint8),
    borderType=cv2.BORDER_CONSTANT,
    borderValue=0,
  )
  region[mask & (inner == 0)] = color


def _draw_box(canvas: np.ndarray, box: np.ndarray, color: palette.Color) -> None:
  """Draw the outline of a box in place, as far as it is inside the image."""
  y_min, x_min, y_max, x_max = np.rint(box).astype(int).tolist()
  cv2.rectangle(
    canvas,
    (x_min, y_min),
    (max(x_min, x_max - 1), max(y_min, y_max - 1)),
    color,
    _line_width(canvas),
  )


def _line_width(canvas: np.ndarray) -> int:
  """Width of lines on an image of this size, in pixels."""
  return max(1, round(min(canvas.shape[:2]) / 500))


def _enlarged_image(image: np.ndarray, factor: int) -> np.ndarray:
  """A copy of an image, enlarged smoothly by an integer factor."""
  if factor == 1:
    return image.copy()
  return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def _enlarged_mask(mask: np.ndarray, factor: int) -> np.ndarray:
  """A mask with every pixel repeated `factor` times on both axes."""
  return np.repeat(np.repeat(mask, factor, axis=0), factor, axis=1)


def _window(mask: np.ndarray | dict[str, Any]) -> Window:
  """One mask as a bitmap, only of its surroundings if it is encoded."""
  if isinstance(mask, dict):
    return mask_runs.to_window(mask_runs.of_rle(mask))
  return Window(0, 0, np.asarray(mask).astype(bool))


def _check_image(image: np.ndarray) -> np.ndarray:
  """The image as an array; raises InputError for another form."""
  image = np.asarray(image)
  if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
    raise InputError(
      'The instances cannot be drawn',
      expected='an image [height, width, 3] of uint8',
      got=f'{list(image.shape)} of {image.dtype}',
    )
  return image


def _check_instances(
  image: np.ndarray,
  boxes: np.ndarray,
  masks: Masks | None,
  classes: np.ndarray,
  scores: np.ndarray | None,
) -> None:
  """Raise InputError unless boxes, masks, classes and scores fit each other and the image."""
  counts = {'boxes': len(boxes), 'classes': len(classes)}
  if masks is not None:
    counts['masks'] = len(masks)
  if scores is not None:
    counts['scores'] = len(scores)
  if len(set(counts.values())) > 1:
    raise InputError(
      'The instances cannot be drawn',
      expected='the same number of boxes, masks, classes and scores',
      got=str(counts),
    )
  if not np.isfinite(boxes).all():
    raise InputError(
      'The instances cannot be drawn', expected='finite boxes', got='NaN or infinity'
    )
  for mask in masks if masks is not None else ():
    size = tuple(mask['size']) if isinstance(mask, dict) else mask.shape
    if tuple(size) != image.shape[:2]:
      raise InputError(
        'The instances cannot be drawn',
        expected=f'masks of the size of the image, {image.shape[:2]}',
        got=str(size),
      )
