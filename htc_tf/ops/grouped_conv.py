"""Convolution in groups of channels."""

from collections.abc import Sequence

import tensorflow as tf

# Maximum number of channels of groups that run together. A group of ResNeXt has 4 to 32 channels,
# too few to fill the vector registers of a processor.
_CHANNELS_TOGETHER = 32


def grouped_conv2d(
  x: tf.Tensor,
  kernel: tf.Tensor,
  groups: int,
  strides: Sequence[int],
  padding: str | list[list[int]],
) -> tf.Tensor:
  """Convolution whose output channels each read one group of input channels.

  `tf.nn.conv2d` accepts such a kernel, but its gradient has no CPU kernel outside XLA, and under
  XLA it is slow on a CPU. Without a GPU, neighboring groups therefore run as one dense convolution
  whose kernel is zero between different groups, which takes more multiplications but uses the fast
  routine. With a GPU, `tf.nn.conv2d` runs all groups in one launch.

  Args:
    x: [batch, height, width, in_channels].
    kernel: [kernel_height, kernel_width, in_channels / groups, out_channels] of the same dtype;
      the output channels of a group are adjacent, as in published checkpoints.
    groups: number of groups; divides the numbers of input and output channels.
    strides: strides along y and x.
    padding: padding in the form of `tf.nn.conv2d`.

  Returns:
    [batch, out_height, out_width, out_channels].
  """
  if groups == 1 or tf.config.list_logical_devices('GPU'):
    return tf.nn.conv2d(x, kernel, strides, padding)
  together = _groups_together(groups, kernel.shape[2])
  kernels = _dense_kernels(kernel, groups, together)
  parts = tf.split(x, groups // together, axis=-1)
  return tf.concat(
    [tf.nn.conv2d(part, kernels[i], strides, padding) for i, part in enumerate(parts)], -1
  )


def _groups_together(groups: int, channels: int) -> int:
  """Largest divisor of `groups` for which a convolution has at most _CHANNELS_TOGETHER channels.

  It is 1 if a single group already has more.
  """
  return max(
    n
    for n in range(1, groups + 1)
    if groups % n == 0 and (n == 1 or n * channels <= _CHANNELS_TOGETHER)
  )


def _dense_kernels(kernel: tf.Tensor, groups: int, together: int) -> tf.Tensor:
  """Dense kernels for runs of `together` groups, zero between different groups.

  Args:
    kernel: [h, w, in, groups * out]; `in` and `out` are the channels of one group.
    groups: number of groups.
    together: number of groups in a run.

  Returns:
    [groups / together, h, w, together * in, together * out].
  """
  height, width, channels, filters = kernel.shape
  runs, filters = groups // together, filters // groups
  split = tf.reshape(kernel, [height, width, channels, runs, together, filters])
  same_group = tf.eye(together, dtype=kernel.dtype)
  dense = tf.einsum('hwiruo,tu->rhwtiuo', split, same_group)
  return tf.reshape(dense, [runs, height, width, together * channels, together * filters])
