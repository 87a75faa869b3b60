"""From the axes of reference arrays to ours."""

import numpy as np

# Part of the keys of masks by ensemble.
MASK_KEYS = {'mean': 'mean', 'last': 'last_stage'}


def channels_last(maps: np.ndarray) -> np.ndarray:
  """[..., C, H, W] to [..., H, W, C]."""
  return np.moveaxis(maps, -3, -1)


def kernel(weight: np.ndarray) -> np.ndarray:
  """[out, in, h, w] to [h, w, in, out]."""
  return weight.transpose(2, 3, 1, 0)


def yx(values: np.ndarray) -> np.ndarray:
  """Groups of four on the last axis: xyxy to yxyx, or dx, dy, dw, dh to dy, dx, dh, dw."""
  groups = values.reshape(*values.shape[:-1], -1, 4)[..., [1, 0, 3, 2]]  # [..., groups, 4]
  return groups.reshape(values.shape)


def background_first(logits: np.ndarray) -> np.ndarray:
  """Moves the last class of the last axis to the front."""
  return np.roll(logits, 1, -1)


def unpacked_masks(packed: np.ndarray, shape: np.ndarray) -> np.ndarray:
  """Bit-packed rows of masks to [num, H, W] bool."""
  return np.unpackbits(packed, axis=-1, count=int(shape[-1])).astype(bool)


def unpacked_flat_masks(packed: np.ndarray, shape: np.ndarray) -> np.ndarray:
  """Bit-packed flattened masks to [num, H, W] bool."""
  flat = np.unpackbits(packed, axis=1, count=int(shape[1] * shape[2]))  # [num, H * W]
  return flat.reshape(shape).astype(bool)
