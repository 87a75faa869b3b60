"""Block of a Swin transformer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.drop_path import scale_branch
from htc_tf.modeling.layers.window_attention import WindowAttention, dense
from htc_tf.ops import windows as window_ops
from htc_tf.ops.gelu import gelu

NORM_EPSILON = 1e-5


class SwinOptions(NamedTuple):
  """Options that all blocks of a transformer share.

  Attributes:
    window: side of the windows in pixels of the map.
    mlp_ratio: width of the hidden layer of a block in channels of the block.
    qkv_bias: whether queries, keys and values have a bias.
  """

  window: int = 7
  mlp_ratio: float = 4.0
  qkv_bias: bool = True


PUBLISHED = SwinOptions()


class SwinBlock(tf_keras.layers.Layer):
  """Attention within (shifted) windows and a perceptron, each a residual branch behind a norm.

  It is equation 3 of Liu et al. 2021. Its parts are named as in the published state dicts.

  Input and output [batch, height, width, channels] of any height and width: within the block, the
  map is padded to whole windows.

  Args:
    channels: number of channels.
    num_heads: number of heads of the attention.
    is_shifted: whether the windows are shifted by half their side.
    options: options of all blocks.
    **kwargs: arguments of Layer.
  """

  def __init__(
    self,
    channels: int,
    num_heads: int,
    is_shifted: bool,
    options: SwinOptions = PUBLISHED,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._channels = channels
    self._hidden = int(channels * options.mlp_ratio)
    self._window = options.window
    self._shift = options.window // 2 if is_shifted else 0
    self.norm1 = layer_norm(name='norm1')
    self.attn = WindowAttention(channels, num_heads, options.window, options.qkv_bias, name='attn')
    self.norm2 = layer_norm(name='norm2')
    self.fc1 = dense(self._hidden, name='fc1')
    self.fc2 = dense(channels, name='fc2')

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Create the variables."""
    for layer in (self.norm1, self.attn, self.norm2, self.fc1, self.fc2):
      channels = self._hidden if layer is self.fc2 else self._channels
      with tf.name_scope(layer.name):
        layer.build([None, None, None, channels])
    super().build(input_shape)

  def call(
    self, inputs: tf.Tensor, mask: tf.Tensor | None = None, factors: tf.Tensor | None = None
  ) -> tf.Tensor:
    """The map after both branches.

    Args:
      inputs: [batch, height, width, channels].
      mask: mask of the shifted windows (`ops.windows.shifted_mask`); a block without shift ignores
        it.
      factors: [2, batch] float32 factors on the two branches; None for none.

    Returns:
      Tensor of the shape and dtype of `inputs`.
    """
    of_attention, of_perceptron = (None, None) if factors is None else tf.unstack(factors, num=2)
    x = inputs + scale_branch(self._attend(self.norm1(inputs), mask), of_attention)
    hidden = gelu(self.fc1(self.norm2(x)))
    return x + scale_branch(self.fc2(hidden), of_perceptron)

  def _attend(self, x: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    height, width = tf.unstack(tf.shape(x)[1:3])
    padded = window_ops.pad_to_multiple(x, self._window)
    shift = self._shift
    rolled = tf.roll(padded, [-shift, -shift], [1, 2]) if shift else padded
    attended = self.attn(window_ops.partition(rolled, self._window), mask if shift else None)
    attended = window_ops.unite(attended, padded, self._window)
    if shift:
      attended = tf.roll(attended, [shift, shift], [1, 2])
    attended = tf.reshape(attended[:, :height, :width], tf.shape(x))
    return tf.ensure_shape(attended, x.shape)


def layer_norm(**kwargs: Any) -> tf_keras.layers.LayerNormalization:
  """A layer norm over the channels with the published epsilon, computed in float32.

  Args:
    **kwargs: further arguments of LayerNormalization.
  """
  return tf_keras.layers.LayerNormalization(epsilon=NORM_EPSILON, **kwargs)
