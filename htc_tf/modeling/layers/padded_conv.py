"""Convolution with symmetric explicit padding."""

import tensorflow as tf
import tf_keras


class PaddedConv2D(tf_keras.layers.Conv2D):
  """Conv2D that pads (kernel - 1) / 2 on every side, whatever the stride.

  TensorFlow's SAME pads a strided convolution of an even-sized map on the right and below only;
  the published weights were trained with equal padding on both sides. Odd kernels only.

  Input [batch, height, width, channels]; output [batch, ceil(height / stride), ...] for kernels
  of 3 and 7.
  """

  def __init__(self, filters: int, kernel_size: int, **kwargs):
    super().__init__(filters, kernel_size, padding='valid', **kwargs)

  def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    pad_y, pad_x = ((size - 1) // 2 for size in self.kernel_size)
    return tf.nn.conv2d(inputs, kernel, strides=self.strides, dilations=self.dilation_rate,
                        padding=[[0, 0], [pad_y, pad_y], [pad_x, pad_x], [0, 0]])

  def compute_output_shape(self, input_shape) -> tf.TensorShape:
    shape = tf.TensorShape(input_shape).as_list()
    padded = [side if side is None else side + size - 1
              for side, size in zip(shape[1:3], self.kernel_size)]
    return super().compute_output_shape([shape[0], *padded, shape[3]])
