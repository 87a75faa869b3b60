"""Layer between two stages of a Swin transformer."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.backbones.swin_block import layer_norm
from htc_tf.modeling.layers.window_attention import dense
from htc_tf.ops import windows as window_ops


class PatchMerging(tf_keras.layers.Layer):
  """The four pixels of each 2x2 patch, normed and reduced to twice the channels of one.

  The published order of the four is (even row, even column), (odd, even), (even, odd), (odd, odd).
  Maps of odd size are padded with zeros.

  Input [batch, height, width, channels]; output [batch, ceil(height / 2), ceil(width / 2),
  2 * channels].

  Args:
    channels: number of channels of the input.
    **kwargs: arguments of Layer.
  """

  def __init__(self, channels: int, **kwargs: Any):
    super().__init__(**kwargs)
    self._channels = channels
    self.norm = layer_norm(name='norm')
    self.reduction = dense(2 * channels, use_bias=False, name='reduction')

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Create the variables."""
    for layer in (self.norm, self.reduction):
      with tf.name_scope(layer.name):
        layer.build([None, None, None, 4 * self._channels])
    super().build(input_shape)

  def call(self, inputs: tf.Tensor) -> tf.Tensor:
    """The map with half the height and width, and of the dtype of `inputs`.

    Args:
      inputs: [batch, height, width, channels].
    """
    x = window_ops.pad_to_multiple(inputs, 2)
    neighbors = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
    return self.reduction(self.norm(tf.concat(neighbors, -1)))
