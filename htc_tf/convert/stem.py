"""The first convolution of a backbone for images of other channels than RGB, from RGB weights."""

from collections.abc import Sequence

import numpy as np

PATHS = (
  'backbone/conv1/kernel',
  'backbone/stem/0/kernel',
  'backbone/patch_embed/proj/kernel',
  'backbone/shared_embed/proj/kernel',
)
_RGB = 3
_CHANNEL_AXIS = 2  # of a kernel [height, width, channels, filters]


def is_of_rgb(path: str, saved: Sequence[int] | None, shape: Sequence[int]) -> bool:
  """Whether a stored kernel is that of RGB images, and the variable that of other images.

  Args:
    path: path of the variable.
    saved: shape of the stored kernel in our layout; None if it has another layout.
    shape: shape of the variable.
  """
  if path not in PATHS or saved is None or len(saved) != len(shape):
    return False
  others_agree = all(
    size == other for axis, (size, other) in enumerate(zip(saved, shape)) if axis != _CHANNEL_AXIS
  )
  return others_agree and saved[_CHANNEL_AXIS] == _RGB != shape[_CHANNEL_AXIS]


def adapted(kernel: np.ndarray, num_channels: int) -> np.ndarray:
  """The kernel for another number of channels, which all get the same weights.

  These are the mean of the three kernels, times 3 / num_channels. So an image whose channels are
  all equal gets the response of the RGB kernel to that image in gray. For one channel, it is the
  sum of the three kernels.

  Args:
    kernel: [height, width, 3, filters].
    num_channels: number of channels of the images.

  Returns:
    [height, width, num_channels, filters] of the same type.
  """
  total = kernel.astype(np.float64).sum(axis=_CHANNEL_AXIS, keepdims=True)
  return np.repeat(total / num_channels, num_channels, axis=_CHANNEL_AXIS).astype(kernel.dtype)


def reversed_channels(kernel: np.ndarray) -> np.ndarray:
  """The kernel for RGB images from that for BGR images, or the reverse.

  Args:
    kernel: [height, width, 3, filters].
  """
  return np.flip(kernel, _CHANNEL_AXIS)


def describe(path: str, num_channels: int) -> str:
  """What was done to the kernel of a path, for a log."""
  return (
    f'{path} is that of RGB images: each of the {num_channels} channels gets the mean of its three '
    f'kernels times {_RGB}/{num_channels}'
  )
