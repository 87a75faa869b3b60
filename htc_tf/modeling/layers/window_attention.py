"""Self-attention within windows, with a bias for each relative position."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras


def relative_position_index(window: int) -> np.ndarray:
  """Row of the bias table for each pair of pixels of a window (Liu et al. 2021, section 3.2).

  With y and x counted from 0 in a window, the row of a query (y, x) and a key (y', x') is
  (y - y' + window - 1) * (2 * window - 1) + x - x' + window - 1.

  Args:
    window: side of a window in pixels.

  Returns:
    [window * window, window * window] int32; queries in rows.
  """
  rows, columns = (axis.ravel() for axis in np.mgrid[:window, :window])
  vertical = rows[:, np.newaxis] - rows + window - 1
  horizontal = columns[:, np.newaxis] - columns + window - 1
  return (vertical * (2 * window - 1) + horizontal).astype(np.int32)


class WindowAttention(tf_keras.layers.Layer):
  """Multi-head self-attention of the pixels of each window.

  Logits and probabilities are computed in float32, also under mixed precision: 16 bits would round
  logits of size 100 to steps of a half.

  Args:
    channels: number of channels; a multiple of `num_heads`.
    num_heads: number of heads.
    window: side of a window in pixels.
    qkv_bias: whether queries, keys and values have a bias.
    **kwargs: arguments of Layer.
  """

  def __init__(
    self, channels: int, num_heads: int, window: int, qkv_bias: bool = True, **kwargs: Any
  ):
    super().__init__(**kwargs)
    self._channels = channels
    self._num_heads = num_heads
    self._window = window
    self._index = relative_position_index(window)[..., np.newaxis]
    self.qkv = dense(3 * channels, use_bias=qkv_bias, name='qkv')
    self.proj = dense(channels, name='proj')

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Create the variables."""
    self.table = self.add_weight(
      'table',
      [(2 * self._window - 1) ** 2, self._num_heads],
      initializer=tf_keras.initializers.TruncatedNormal(stddev=0.02),
      experimental_autocast=False,
    )
    for layer in (self.qkv, self.proj):
      with tf.name_scope(layer.name):
        layer.build([None, None, self._channels])
    super().build(input_shape)

  def call(self, windows: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
    """Attention within each window.

    Args:
      windows: [batch * num_windows, window * window, channels].
      mask: [num_windows, window * window, window * window] float32 summands on the logits of the
        windows of every image; None for none.

    Returns:
      Tensor of the shape and dtype of `windows`.
    """
    size, heads = self._window**2, self._num_heads
    width = self._channels // heads
    qkv = tf.reshape(self.qkv(windows), [-1, size, 3, heads, width])
    query, key, value = tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4]))  # [num, heads, size, width]
    query = tf.cast(query, tf.float32) * width**-0.5
    logits = tf.matmul(query, tf.cast(key, tf.float32), transpose_b=True) + self._bias()
    if mask is not None:
      by_image = tf.reshape(logits, [-1, tf.shape(mask)[0], heads, size, size])
      logits = tf.reshape(by_image + mask[:, tf.newaxis], [-1, heads, size, size])
    probs = tf.cast(tf.nn.softmax(logits), value.dtype)
    outputs = tf.transpose(tf.matmul(probs, value), [0, 2, 1, 3])  # [num, size, heads, width]
    return self.proj(tf.reshape(outputs, [-1, size, self._channels]))

  def _bias(self) -> tf.Tensor:
    """Bias of each head and pair of pixels, [heads, size, size] float32."""
    # The gradient of `tf.gather` would be sparse, which optimizers treat in another way.
    biases = tf.gather_nd(tf.convert_to_tensor(self.table), self._index)  # [size, size, heads]
    return tf.transpose(biases, [2, 0, 1])


def dense(units: int, **kwargs: Any) -> tf_keras.layers.Dense:
  """A fully connected layer with the initial weights of transformers.

  Args:
    units: number of outputs.
    **kwargs: further arguments of Dense.
  """
  initializer = tf_keras.initializers.TruncatedNormal(stddev=0.02)
  return tf_keras.layers.Dense(units, kernel_initializer=initializer, **kwargs)
