"""Stage of a Swin transformer: blocks on maps of one size, and the step to the next size."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.backbones.patch_merging import PatchMerging
from htc_tf.modeling.backbones.swin_block import PUBLISHED, SwinBlock, SwinOptions
from htc_tf.modeling.layers.drop_path import drop_factors
from htc_tf.ops import windows as window_ops


class SwinStage(tf_keras.layers.Layer):
  """Blocks of a stage; the windows of every second block are shifted.

  Args:
    channels: number of channels.
    num_heads: number of heads of the attention.
    drop_rates: drop path rate of each block, which is also the number of blocks.
    has_merging: whether a stage follows, for which the patches are merged.
    options: options of all blocks.
    recompute: whether training keeps only the outputs of blocks and recomputes the rest in the
      backward pass (gradient checkpointing).
    **kwargs: arguments of Layer.
  """

  def __init__(
    self,
    channels: int,
    num_heads: int,
    drop_rates: Sequence[float],
    has_merging: bool,
    options: SwinOptions = PUBLISHED,
    recompute: bool = False,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._window = options.window
    self._drop_rates = tuple(drop_rates)
    self._recompute = recompute
    self._channels = channels
    self.blocks = [
      SwinBlock(channels, num_heads, index % 2 == 1, options, name=f'blocks/{index}')
      for index in range(len(self._drop_rates))
    ]
    self.downsample = PatchMerging(channels, name='downsample') if has_merging else None

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Create the variables."""
    for layer in [*self.blocks, self.downsample]:
      if layer is not None:
        with tf.name_scope(layer.name):
          layer.build([None, None, None, self._channels])
    super().build(input_shape)

  def call(
    self, inputs: tf.Tensor, training: bool | None = None
  ) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Output of the stage, and the input of the next one.

    Args:
      inputs: [batch, height, width, channels].
      training: whether branches are dropped; a frozen stage drops none.

    Returns:
      [batch, height, width, channels], and [batch, ceil(height / 2), ceil(width / 2),
      2 * channels], or None after the last stage.
    """
    x = inputs
    # The padded map has one size in all blocks, and so they share the mask.
    padded = window_ops.pad_to_multiple(x[..., :1], self._window)
    mask = window_ops.shifted_mask(padded, self._window, self._window // 2)
    is_trained = bool(training) and self.trainable
    for block, rate in zip(self.blocks, self._drop_rates):
      # The factors are drawn outside of the block: recomputed, they would be others.
      factors = drop_factors(rate, tf.shape(x)[0], 2) if is_trained and rate else None
      x = self._run(block, x, mask, factors, is_trained)
    return x, None if self.downsample is None else self.downsample(x)

  def _run(
    self,
    block: SwinBlock,
    x: tf.Tensor,
    mask: tf.Tensor,
    factors: tf.Tensor | None,
    is_trained: bool,
  ) -> tf.Tensor:
    if self._recompute and is_trained:
      return tf.recompute_grad(lambda inputs: block(inputs, mask, factors))(x)
    return block(x, mask, factors)
