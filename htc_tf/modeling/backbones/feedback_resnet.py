"""ResNet that a feature pyramid is fed back into."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from htc_tf.modeling.backbones.feedback_block import FeedbackBlock
from htc_tf.modeling.backbones.published_resnet import PublishedResNet
from htc_tf.modeling.backbones.residual_block import ResidualBlock


class FeedbackResNet(PublishedResNet):
  """ResNet whose stages 2 to 4 also read features of the levels 3 to 5 (DetectoRS, section 3.2).

  The first block of each of these stages is a `FeedbackBlock`. Everything else is as in
  `PublishedResNet`.

  Args:
    feedback_channels: channels of the features.
    **kwargs: arguments of `PublishedResNet`, without options of Res2Net.

  Raises:
    ConfigError: `model_id` or the number of frozen stages is unknown.
  """

  def __init__(self, feedback_channels: int, **kwargs: Any):
    super().__init__(**kwargs)
    for stage in range(2, 5):
      block = self._stage(stage)[0]
      with tf.name_scope(block.name):
        block.build_feedback(feedback_channels)

  def _block_class(self, stage: int, index: int) -> type[ResidualBlock]:
    return FeedbackBlock if stage > 1 and index == 0 else ResidualBlock

  def call(  # type: ignore[override]  # It reads the feedback as well.
    self,
    images: tf.Tensor,
    feedback: Mapping[str, tf.Tensor],
    training: bool | None = None,
  ) -> dict[str, tf.Tensor]:
    """Feature maps of a batch.

    Args:
      images: [batch, height, width, channels], normalized by `data.preprocess`; padding is 0.
      feedback: {'3': [batch, ceil(height / 8), ceil(width / 8), feedback_channels], '4', '5'}.
      training: whether batch norms without `norm_eval` use the statistics of the batch.

    Returns:
      {'2': C2, ..., '5': C5}, with the shapes given in the docstring of `PublishedResNet`.
    """
    x = self._run_stem(images, training)
    endpoints = {}
    for stage in range(1, 5):
      level = str(stage + 1)
      for block in self._stage(stage):
        inputs = (x, feedback[level]) if isinstance(block, FeedbackBlock) else (x,)
        x = self._run(block, *inputs, training=training)
      endpoints[level] = x
    return endpoints
