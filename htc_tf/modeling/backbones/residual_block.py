"""Residual block of ResNet and ResNeXt."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.batch_norm import BatchNorm, NormOptions
from htc_tf.modeling.layers.conv_norm import build_conv_norm, conv_norm
from htc_tf.modeling.layers.deform_conv import DeformConv2D
from htc_tf.modeling.layers.padded_conv import PaddedConv2D

EXPANSION = 4  # output channels of a bottleneck block per inner channel


class ResidualBlock(tf_keras.layers.Layer):
  """A path of convolutions and a shortcut; the stride is in the (first) 3x3 convolution.

  Its parts are named as in the published state dicts: `conv1`, `bn1`, ..., and `downsample`, a
  convolution and a norm, if the shortcut changes the shape.

  Input [batch, height, width, channels]; output [batch, ceil(height / stride), ..., filters], or
  EXPANSION times as many channels with `bottleneck`.

  Args:
    filters: channels of the block.
    stride: stride of the block.
    norm: options of the batch norms.
    bottleneck: whether the path is 1x1, 3x3, 1x1 convolutions instead of two 3x3 convolutions.
    groups: number of groups of the bottleneck's 3x3 convolution.
    width: channels of the bottleneck's 3x3 convolution; `filters` if None.
    deformable: whether the bottleneck's 3x3 convolution is a `DeformConv2D`.
    **kwargs: arguments of Layer.
  """

  def __init__(
    self,
    filters: int,
    stride: int,
    norm: NormOptions,
    bottleneck: bool = True,
    groups: int = 1,
    width: int | None = None,
    deformable: bool = False,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._stride = stride
    self._norm_args = norm._asdict()
    self._filters = filters * EXPANSION if bottleneck else filters
    middle = DeformConv2D if deformable else PaddedConv2D
    convs: tuple[PaddedConv2D, ...]
    if bottleneck:
      convs = (
        _conv(width or filters, 1, name='conv1'),
        _conv(width or filters, 3, stride, middle, groups=groups, name='conv2'),
        _conv(self._filters, 1, name='conv3'),
      )
    else:
      convs = (_conv(filters, 3, stride, name='conv1'), _conv(filters, 3, name='conv2'))
    self._num_convs = len(convs)
    for index, conv in enumerate(convs, 1):
      # Blocks start as their shortcut (Goyal et al. 2017, section 5.1). Otherwise the variance of
      # the features doubles at every block if a backbone is trained from scratch with frozen batch
      # norm statistics.
      gamma = 'zeros' if index == len(convs) else 'ones'
      setattr(self, f'conv{index}', conv)
      setattr(
        self, f'bn{index}', BatchNorm(gamma_initializer=gamma, name=f'bn{index}', **self._norm_args)
      )
    self.downsample: list[tf_keras.layers.Layer] | None = None

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Create the variables, with a projection shortcut if the block changes the shape."""
    if self._stride > 1 or input_shape[-1] != self._filters:
      conv = _conv(self._filters, 1, self._stride, name='downsample/0')
      norm = BatchNorm(name='downsample/1', **self._norm_args)
      conv.trainable = norm.trainable = self.trainable
      build_conv_norm(conv, norm, input_shape)
      self.downsample = [conv, norm]
    shape = input_shape
    for index in range(1, self._num_convs + 1):
      conv, norm = self._conv_and_norm(index)
      shape = build_conv_norm(conv, norm, shape)
    super().build(input_shape)

  def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    """ReLU of the sum of path and shortcut.

    Args:
      inputs: [batch, height, width, channels].
      training: whether batch norms without `norm_eval` use the statistics of the batch.

    Returns:
      [batch, ceil(height / stride), ceil(width / stride), filters], or EXPANSION times as many
      channels with `bottleneck`; of the dtype of `inputs`.
    """
    x = inputs
    for index in range(1, self._num_convs):
      conv, norm = self._conv_and_norm(index)
      x = tf.nn.relu(conv_norm(x, conv, norm, training))
    conv, norm = self._conv_and_norm(self._num_convs)
    x = conv_norm(x, conv, norm, training)
    if self.downsample is None:
      return tf.nn.relu(x + inputs)
    conv, norm = self.downsample
    return tf.nn.relu(x + conv_norm(inputs, conv, norm, training))

  def compute_output_shape(self, input_shape: Sequence[int | None]) -> tf.TensorShape:
    """Shape of the output for an input [batch, height, width, channels]; None stays None."""
    shape = input_shape
    for index in range(1, self._num_convs + 1):
      conv, _ = self._conv_and_norm(index)
      shape = conv.compute_output_shape(shape)
    return shape

  def _conv_and_norm(self, index: int) -> tuple[PaddedConv2D, BatchNorm]:
    return getattr(self, f'conv{index}'), getattr(self, f'bn{index}')


def _conv(
  filters: int,
  kernel_size: int,
  stride: int = 1,
  kind: type[PaddedConv2D] = PaddedConv2D,
  **kwargs: Any,
) -> PaddedConv2D:
  return kind(
    filters, kernel_size, strides=stride, use_bias=False, kernel_initializer='he_normal', **kwargs
  )
