"""Batch normalisation whose statistics can be held during training."""

from typing import Optional

import tensorflow as tf
import tf_keras


class BatchNorm(tf_keras.layers.BatchNormalization):
  """Batch norm over the last axis of [batch, height, width, channels].

  Args:
    norm_eval: normalise with the running statistics in training as well and leave them as they
      are, while gamma and beta are trained: how the published detectors fine-tune their backbone.
    **kwargs: those of `tf_keras.layers.BatchNormalization`.
  """

  def __init__(self, norm_eval: bool = False, **kwargs):
    super().__init__(**kwargs)
    self._norm_eval = norm_eval

  def call(self, inputs: tf.Tensor, training: Optional[bool] = None) -> tf.Tensor:
    return super().call(inputs, training=False if self._norm_eval else training)

  def get_config(self):
    return {**super().get_config(), 'norm_eval': self._norm_eval}
