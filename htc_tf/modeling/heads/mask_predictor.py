"""From a mask feature to the mask logits of one class."""

from typing import Any

import tensorflow as tf
import tf_keras


class MaskPredictor(tf_keras.layers.Layer):
  """Transposed convolution to twice the side, then a 1x1 classifier of which one row is used.

  Only the asked class's kernel is applied to an RoI: training and inference need no other.

  Args:
    num_classes: classes, background included (which has no mask).
    num_filters: channels of the mask feature and of the upsampled one.
    **kwargs: passed to Layer.
  """

  def __init__(self, num_classes: int, num_filters: int = 256, **kwargs: Any):
    super().__init__(**kwargs)
    self._num_classes = num_classes
    self._num_filters = num_filters
    initializer = tf_keras.initializers.VarianceScaling(2.0, 'fan_out', 'truncated_normal')
    self._upsample = tf_keras.layers.Conv2DTranspose(
      num_filters, 2, strides=2, activation='relu', kernel_initializer=initializer, name='upsample'
    )

  def build(self, input_shape: tf.TensorShape) -> None:
    """Makes the classifier's variables; `input_shape` is that of the features, see `call`."""
    self._kernel = self.add_weight(
      name='conv_logits/kernel',
      shape=[self._num_classes - 1, self._num_filters],
      initializer=tf_keras.initializers.VarianceScaling(2.0, 'fan_in', 'truncated_normal'),
    )
    self._bias = self.add_weight(
      name='conv_logits/bias', shape=[self._num_classes - 1], initializer='zeros'
    )
    super().build(input_shape)

  def call(self, features: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Mask logits of the given class of every RoI.

    Args:
      features: [num_rois, size, size, num_filters].
      classes: [num_rois] int, 1..num_classes-1; other values (padding) give the first class's.

    Returns:
      [num_rois, 2 size, 2 size] float32 logits.
    """
    index = tf.clip_by_value(tf.cast(classes, tf.int32) - 1, 0, self._num_classes - 2)
    x = self._upsample(features)
    kernel = tf.gather(tf.cast(self._kernel, x.dtype), index)
    logits = tf.cast(tf.einsum('nhwc,nc->nhw', x, kernel), tf.float32)
    bias = tf.gather(tf.cast(self._bias, tf.float32), index)
    return logits + bias[:, tf.newaxis, tf.newaxis]
