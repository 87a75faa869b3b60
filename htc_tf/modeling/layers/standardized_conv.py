"""Convolution whose kernels are standardized."""

from collections.abc import Sequence

import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.padded_conv import PaddedConv2D

_EPSILON = 1e-5


class StandardizedConv2D(PaddedConv2D):
  """Convolution with weight standardization (Qiao et al. 2019), as in DetectoRS (2020).

  The kernel of each output channel gets the mean 0 and the variance 1, and then a scale
  `weight_gamma` and a shift `weight_beta`. These are not trained. If they are the deviation and the
  mean of a kernel, the layer is a plain convolution with that kernel. A new layer has the deviation
  of He et al. 2015; with 1, as in the published code, the values of a new network would explode.

  Input and output are those of `PaddedConv2D`.
  """

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Create the variables for [batch, height, width, channels]."""
    super().build(input_shape)
    deviation = (2.0 / (self.kernel.shape.num_elements() / self.filters)) ** 0.5
    self.weight_gamma, self.weight_beta = (
      self.add_weight(
        name=name,
        shape=[self.filters],
        initializer=tf_keras.initializers.Constant(initial),
        trainable=False,
      )
      for name, initial in (('weight_gamma', deviation), ('weight_beta', 0.0))
    )

  def _kernel_parts(self) -> tuple[tf.Variable, ...]:
    return self.kernel, self.weight_gamma, self.weight_beta

  def _kernel_of(self, *parts: tf.Tensor) -> tf.Tensor:
    kernel, gamma, beta = parts
    mean, deviation = kernel_moments(kernel)
    return (kernel - mean) * (gamma / deviation) + beta


def kernel_moments(kernel: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Mean and standard deviation of the kernel of each output channel, [filters] each.

  Args:
    kernel: [kernel_height, kernel_width, channels, filters] float32.
  """
  mean = tf.reduce_mean(kernel, [0, 1, 2])
  count = kernel.shape[0] * kernel.shape[1] * kernel.shape[2]
  variance = tf.reduce_sum(tf.square(kernel - mean), [0, 1, 2]) / (count - 1)
  return mean, tf.sqrt(variance + _EPSILON)
