"""Prediction of the mask logits of one class from a mask feature."""

from typing import Any

import tensorflow as tf
import tf_keras


class MaskPredictor(tf_keras.layers.Layer):
  """Transposed convolution to twice the size, then the kernel of one class of a 1x1 classifier.

  Only the kernel of the given class is applied to an RoI, because training and inference need no
  other class.

  Args:
    num_classes: number of classes, including background, which has no mask.
    num_filters: channels of the mask feature and of the upsampled feature.
    **kwargs: arguments of Layer.
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
    """Create the classifier's variables; `input_shape` is the shape of the features in `call`."""
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
    """Mask logits of one class per RoI.

    Args:
      features: [num_rois, size, size, num_filters].
      classes: [num_rois] int, 1..num_classes-1; for other values (padding), the nearest of these
        classes is used.

    Returns:
      [num_rois, 2 * size, 2 * size] float32.
    """
    # Integers that are clipped to 0..6 would become a Relu6 in TFLite, which is only for floats.
    index = tf.clip_by_value(tf.cast(classes, tf.int32), 1, self._num_classes - 1) - 1
    x = self._upsample(features)
    kernel = tf.gather(tf.cast(self._kernel, x.dtype), index)
    logits = tf.cast(tf.einsum('nhwc,nc->nhw', x, kernel), tf.float32)
    bias = tf.gather(tf.cast(self._bias, tf.float32), index)
    return logits + bias[:, tf.newaxis, tf.newaxis]
