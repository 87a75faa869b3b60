"""Pasting of box-sized mask probabilities onto the full image, and their run-length encoding.

A mask of 28x28 cells covers its box. The value of an image pixel is interpolated bilinearly at the
pixel center (x + 0.5, y + 0.5) between the centers of the cells, with zeros outside the mask. The
object consists of the pixels whose value is at least the threshold. Bilinear sampling on a grid is
separable, `values = weights_y @ probs @ weights_x^T`; only rows and columns with a non-zero weight
are computed, which are those in and just around the box.
"""

import numbers
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as mask_utils

from htc_tf.errors import InputError

# Smallest probability of a pixel of an object.
PUBLISHED_THRESHOLD = 0.5


class _Patch(NamedTuple):
  """The part of the image in which one pasted mask can differ from zero.

  Attributes:
    top: first row in the image.
    left: first column in the image.
    values_xy: [columns, rows] float32; transposed, because COCO encodes column by column.
  """

  top: int
  left: int
  values_xy: np.ndarray


def paste_mask_values(
  mask_probs: np.ndarray, boxes_original: np.ndarray, image_hw: tuple[int, int]
) -> np.ndarray:
  """Mask probabilities at every pixel of the image.

  Args:
    mask_probs: [num, mask_height, mask_width] float, the probability in each cell of the box.
    boxes_original: [num, 4] yxyx in pixels of the original image; may extend beyond it. In a box
      without width or height, pixels sample the middle of the mask along that axis.
    image_hw: height and width of the original image.

  Returns:
    [num, height, width] float32, zero beyond half a mask cell around each box.

  Raises:
    InputError: the shapes do not fit, the image is empty, or values are not finite.
  """
  height, width = image_hw
  values = np.zeros((len(mask_probs), height, width), np.float32)
  for image, patch in zip(values, _patches(mask_probs, boxes_original, image_hw)):
    columns, rows = patch.values_xy.shape
    image[patch.top : patch.top + rows, patch.left : patch.left + columns] = patch.values_xy.T
  return values


def paste_masks(
  mask_probs: np.ndarray,
  boxes_original: np.ndarray,
  image_hw: tuple[int, int],
  threshold: float = PUBLISHED_THRESHOLD,
) -> np.ndarray:
  """Masks on the full image: the pixels whose sampled probability is >= `threshold`.

  Args:
    mask_probs: [num, mask_height, mask_width] float.
    boxes_original: [num, 4] yxyx in pixels of the original image.
    image_hw: height and width of the original image.
    threshold: the smallest probability of a pixel of the object, above 0.

  Returns:
    [num, height, width] bool. For many masks prefer `encode_masks`, which does not allocate this
    array.

  Raises:
    InputError: as for `paste_mask_values`, or the threshold is not above 0.
  """
  _check_threshold(threshold)
  height, width = image_hw
  masks = np.zeros((len(mask_probs), height, width), bool)
  for image, patch in zip(masks, _patches(mask_probs, boxes_original, image_hw)):
    columns, rows = patch.values_xy.shape
    region = image[patch.top : patch.top + rows, patch.left : patch.left + columns]
    np.greater_equal(patch.values_xy.T, threshold, out=region)
  return masks


def encode_masks(
  mask_probs: np.ndarray,
  boxes_original: np.ndarray,
  image_hw: tuple[int, int],
  threshold: float = PUBLISHED_THRESHOLD,
) -> list[dict[str, Any]]:
  """Run-length encodings of pasted masks, equal to `pycocotools.mask.encode` of `paste_masks`.

  Only the pixels around the box are computed, so that time and memory do not grow with the size of
  the image.

  Args:
    mask_probs: [num, mask_height, mask_width] float.
    boxes_original: [num, 4] yxyx in pixels of the original image.
    image_hw: height and width of the original image.
    threshold: the smallest probability of a pixel of the object, above 0.

  Returns:
    `num` dicts `{'size': [height, width], 'counts': str}`.

  Raises:
    InputError: as for `paste_masks`.
  """
  _check_threshold(threshold)
  return [
    _encode_patch(patch, image_hw, threshold)
    for patch in _patches(mask_probs, boxes_original, image_hw)
  ]


def _patches(
  mask_probs: np.ndarray, boxes_original: np.ndarray, image_hw: tuple[int, int]
) -> Iterator[_Patch]:
  """The sampled patch of each mask."""
  mask_probs = np.asarray(mask_probs, np.float32)
  boxes_original = np.asarray(boxes_original, np.float64)
  _check_inputs(mask_probs, boxes_original, image_hw)
  height, width = image_hw
  for probs, (y_min, x_min, y_max, x_max) in zip(mask_probs, boxes_original):
    top, weights_y = _axis_weights(y_min, y_max, height, probs.shape[0])
    left, weights_x = _axis_weights(x_min, x_max, width, probs.shape[1])
    yield _Patch(top, left, weights_x @ (probs.T @ weights_y.T))


def _axis_weights(low: float, high: float, length: int, num_cells: int) -> tuple[int, np.ndarray]:
  """Interpolation weights along one axis.

  Args:
    low: lower edge of the box.
    high: upper edge of the box.
    length: number of pixels of the image.
    num_cells: number of cells of the mask.

  Returns:
    The first pixel that the mask reaches, and the weights of this and the following pixels,
    [num_pixels, num_cells] float32; empty if image and mask do not overlap.
  """
  centers = np.arange(length) + 0.5
  with np.errstate(divide='ignore', invalid='ignore'):
    normalized = (centers - low) / (high - low) * 2 - 1
  normalized[np.isinf(normalized)] = 0
  cells = ((normalized + 1) * num_cells - 1) / 2
  # 0 / 0, a pixel center on the edge of a box without extent, counts as outside.
  cells[np.isnan(cells)] = -1
  inside = np.flatnonzero((cells > -1) & (cells < num_cells))
  if not inside.size:
    return 0, np.zeros((0, num_cells), np.float32)
  cells = cells[inside[0] : inside[-1] + 1]
  lower = np.floor(cells)
  pixels, columns = np.arange(len(cells)), lower.astype(np.intp) + 1
  weights = np.zeros((len(cells), num_cells + 2), np.float32)  # one more cell at each end
  weights[pixels, columns] = 1 - (cells - lower)
  weights[pixels, columns + 1] = 1 - (lower + 1 - cells)
  return int(inside[0]), weights[:, 1:-1]


def _encode_patch(patch: _Patch, image_hw: tuple[int, int], threshold: float) -> dict[str, Any]:
  """Run-length encoding of the image that is zero outside the thresholded patch."""
  height, width = image_hw
  columns, rows = patch.values_xy.shape
  mask = np.zeros((columns, rows + 2), bool)  # False above and below, so that every run ends
  np.greater_equal(patch.values_xy, threshold, out=mask[:, 1:-1])
  pixels = mask.ravel()
  column, row = np.divmod(np.flatnonzero(pixels[1:] != pixels[:-1]), rows + 2)
  changes = (patch.left + column) * height + patch.top + row
  # A run that ends in the last row continues if the next column starts with the object.
  joined = np.flatnonzero(changes[1:] == changes[:-1])
  changes = np.delete(changes, np.concatenate([joined, joined + 1]))
  counts = np.diff(changes, prepend=0, append=height * width)
  if counts.size > 1 and counts[-1] == 0:
    counts = counts[:-1]
  rle = mask_utils.frPyObjects({'size': [height, width], 'counts': counts.tolist()}, height, width)
  return {'size': [height, width], 'counts': rle['counts'].decode('ascii')}


def _check_inputs(
  mask_probs: np.ndarray, boxes_original: np.ndarray, image_hw: tuple[int, int]
) -> None:
  """Raise InputError for masks, boxes or an image size that cannot be pasted."""
  if mask_probs.ndim != 3 or boxes_original.shape != (len(mask_probs), 4):
    raise InputError(
      'Masks cannot be pasted',
      expected='masks [num, height, width] and boxes [num, 4]',
      got=f'masks {list(mask_probs.shape)} and boxes {list(boxes_original.shape)}',
    )
  if min(image_hw) < 1:
    raise InputError(
      'Masks cannot be pasted',
      expected='an image of at least one pixel',
      got=f'height and width {tuple(image_hw)}',
    )
  for name, array in (('boxes', boxes_original), ('mask probabilities', mask_probs)):
    finite = np.isfinite(array)
    if not finite.all():
      row = int(np.argwhere(~finite)[0, 0])
      raise InputError(
        'Masks cannot be pasted',
        expected=f'finite {name}',
        got=f'NaN or infinity in row {row}',
        likely_cause='a model whose training diverged, or a wrong checkpoint',
      )


def _check_threshold(threshold: float) -> None:
  """Raise InputError for a threshold that the zeros outside the mask would reach, or no pixel."""
  if not isinstance(threshold, numbers.Real) or not 0 < threshold <= 1:
    raise InputError(
      'Masks cannot be pasted', expected='a threshold above 0, and at most 1', got=repr(threshold)
    )
