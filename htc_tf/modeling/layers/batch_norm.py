"""Batch normalisation whose statistics can be held during training."""

from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.fixed_when_frozen import FixedWhenFrozen


class BatchNorm(FixedWhenFrozen, tf_keras.layers.BatchNormalization):
  """Batch norm over the last axis of [batch, height, width, channels].

  Args:
    norm_eval: normalise with the running statistics in training as well and leave them as they
      are, while gamma and beta are trained: how the published detectors fine-tune their backbone.
    **kwargs: those of `tf_keras.layers.BatchNormalization`.
  """

  def __init__(self, norm_eval: bool = False, **kwargs: Any):
    super().__init__(**kwargs)
    self._norm_eval = norm_eval

  def uses_batch_statistics(self, training: bool | None) -> bool:
    """Whether a call normalises with the batch and moves the running statistics."""
    return bool(training) and self.trainable and not self._norm_eval

  def affine(self) -> tuple[tf.Tensor, tf.Tensor]:
    """The function it is with its running statistics: [channels] scale and shift, float32."""
    scale = self.gamma * tf.math.rsqrt(self.moving_variance + self.epsilon)
    return scale, self.beta - self.moving_mean * scale

  def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    """Normalises [batch, height, width, channels]; see `uses_batch_statistics` for `training`."""
    return super().call(inputs, training=self.uses_batch_statistics(training))
