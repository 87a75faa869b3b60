"""Conversions from the layout of the reference arrays to ours."""

import numpy as np

# Part of the array keys of masks, by mask ensemble.
MASK_KEYS = {'mean': 'mean', 'last': 'last_stage'}


def channels_last(maps: np.ndarray) -> np.ndarray:
  """Maps [..., C, H, W] as [..., H, W, C]."""
  return np.moveaxis(maps, -3, -1)


def kernel(weight: np.ndarray) -> np.ndarray:
  """A kernel [out, in, h, w] as [h, w, in, out]."""
  return weight.transpose(2, 3, 1, 0)


def yx(values: np.ndarray) -> np.ndarray:
  """Groups of four values with y first: xyxy as yxyx, or dx, dy, dw, dh as dy, dx, dh, dw.

  Args:
    values: [..., 4 * num_groups].
  """
  groups = values.reshape(*values.shape[:-1], -1, 4)[..., [1, 0, 3, 2]]  # [..., groups, 4]
  return groups.reshape(values.shape)


def background_first(logits: np.ndarray) -> np.ndarray:
  """Logits whose last class, the background, is moved to the front of the last axis."""
  return np.roll(logits, 1, -1)


def unpacked_masks(packed: np.ndarray, shape: np.ndarray) -> np.ndarray:
  """Masks [num, H, W] bool from masks whose rows are packed into bits.

  Args:
    packed: [num, H, ceil(W / 8)] uint8.
    shape: num, H, W.
  """
  return np.unpackbits(packed, axis=-1, count=int(shape[-1])).astype(bool)


def unpacked_flat_masks(packed: np.ndarray, shape: np.ndarray) -> np.ndarray:
  """Masks [num, H, W] bool from masks that were flattened and packed into bits.

  Args:
    packed: [num, ceil(H * W / 8)] uint8.
    shape: num, H, W.
  """
  flat = np.unpackbits(packed, axis=1, count=int(shape[1] * shape[2]))  # [num, H * W]
  return flat.reshape(shape).astype(bool)
