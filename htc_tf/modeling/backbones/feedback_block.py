"""Residual block that a feature pyramid is fed back into."""

from collections.abc import Sequence

import tensorflow as tf

from htc_tf.modeling.backbones.residual_block import ResidualBlock
from htc_tf.modeling.layers.padded_conv import PaddedConv2D


class FeedbackBlock(ResidualBlock):
  """Residual block with a third summand, made of features of the block's resolution.

  This is the transformation of the feedback in DetectoRS (2020, section 3.2): a 1x1 convolution
  `rfp_conv` with bias, initialized to zero, so that a new block is a `ResidualBlock`.
  """

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Create the variables, except for those of the feedback, whose channels are not known yet."""
    self.rfp_conv = PaddedConv2D(self._filters, 1, kernel_initializer='zeros', name='rfp_conv')
    self.rfp_conv.trainable = self.trainable
    super().build(input_shape)

  def build_feedback(self, num_channels: int) -> None:
    """Create the variables of the feedback.

    Args:
      num_channels: channels of the fed back features.
    """
    with tf.name_scope(self.rfp_conv.name):
      self.rfp_conv.build([None, None, None, num_channels])

  def call(  # type: ignore[override]  # It reads the feedback as well.
    self, inputs: tf.Tensor, feedback: tf.Tensor, training: bool | None = None
  ) -> tf.Tensor:
    """ReLU of the sum of path, shortcut and feedback.

    Args:
      inputs: [batch, height, width, channels].
      feedback: [batch, ceil(height / stride), ceil(width / stride), num_channels].
      training: whether batch norms without `norm_eval` use the statistics of the batch.

    Returns:
      [batch, ceil(height / stride), ceil(width / stride), filters] of the dtype of `inputs`.
    """
    outputs = self._run_path(inputs, training) + self._run_shortcut(inputs, training)
    return tf.nn.relu(outputs + self.rfp_conv(feedback))
