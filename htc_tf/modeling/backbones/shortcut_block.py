"""Base of the residual blocks: the shortcut around a path of convolutions."""

import abc
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.batch_norm import BatchNorm, NormOptions
from htc_tf.modeling.layers.conv_norm import build_conv_norm, conv_norm
from htc_tf.modeling.layers.padded_conv import PaddedConv2D


class BlockLayers(NamedTuple):
  """The layers that residual blocks are made of.

  Attributes:
    norm: options of the batch norms.
    conv: class of the convolutions.
    middle: class of the 3x3 convolutions of a bottleneck; `conv` if None.
    average_shortcut: whether a shortcut of stride 2 averages 2x2 pixels before a 1x1 convolution of
      stride 1, instead of a 1x1 convolution of stride 2 that reads every fourth pixel (ResNet-D, He
      et al. 2019, section 4.2).
  """

  norm: NormOptions = NormOptions()
  conv: type[PaddedConv2D] = PaddedConv2D
  middle: type[PaddedConv2D] | None = None
  average_shortcut: bool = False

  def build_conv(
    self,
    filters: int,
    kernel_size: int,
    stride: int = 1,
    kind: type[PaddedConv2D] | None = None,
    **kwargs: Any,
  ) -> PaddedConv2D:
    """A convolution without bias.

    Args:
      filters: channels of the output.
      kernel_size: side of the kernel.
      stride: stride along y and x.
      kind: class of the convolution; `conv` if None.
      **kwargs: further arguments of the class.
    """
    return (kind or self.conv)(
      filters, kernel_size, strides=stride, use_bias=False, kernel_initializer='he_normal', **kwargs
    )

  def build_norm(self, **kwargs: Any) -> BatchNorm:
    """A batch norm; `kwargs` are further arguments of its class."""
    return BatchNorm(**self.norm._asdict(), **kwargs)


class ShortcutBlock(tf_keras.layers.Layer):
  """ReLU of the sum of a path of convolutions, which subclasses define, and a shortcut.

  If the block changes the shape, the shortcut is `downsample`, a list of layers under the published
  indices: an average pooling in some blocks, a convolution and a norm.

  Input [batch, height, width, channels]; output [batch, ceil(height / stride), ..., filters].

  Args:
    filters: channels of the output.
    stride: stride of the block.
    layers: classes and options of the layers.
    **kwargs: arguments of Layer.
  """

  # Whether a shortcut of stride 1 has an average pooling, which then does nothing, as well.
  _always_pools = False

  def __init__(self, filters: int, stride: int, layers: BlockLayers, **kwargs: Any):
    super().__init__(**kwargs)
    self._filters = filters
    self._stride = stride
    self._kinds = layers
    self.downsample: list[tf_keras.layers.Layer] | None = None

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Create the variables, with a projection shortcut if the block changes the shape."""
    if self._stride > 1 or input_shape[-1] != self._filters:
      self._build_shortcut(input_shape)
    self._build_path(input_shape)
    super().build(input_shape)

  def _build_shortcut(self, input_shape: Sequence[int | None]) -> None:
    stride, pools = self._stride, []
    if self._kinds.average_shortcut and (stride > 1 or self._always_pools):
      # With this padding, a window across the border averages the pixels of the map alone.
      pools = [tf_keras.layers.AveragePooling2D(stride, padding='same')]
      stride = 1
    position = len(pools)
    conv = self._kinds.build_conv(self._filters, 1, stride, name=f'downsample/{position}')
    norm = self._kinds.build_norm(name=f'downsample/{position + 1}')
    conv.trainable = self.trainable
    norm.trainable = norm.trainable and self.trainable
    build_conv_norm(conv, norm, input_shape)
    self.downsample = [*pools, conv, norm]

  @abc.abstractmethod
  def _build_path(self, input_shape: Sequence[int | None]) -> None:
    """Create the variables of the path for an input [batch, height, width, channels]."""

  @abc.abstractmethod
  def _run_path(self, inputs: tf.Tensor, training: bool | None) -> tf.Tensor:
    """The output of the path, [batch, ceil(height / stride), ceil(width / stride), filters]."""

  def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    """ReLU of the sum of path and shortcut.

    Args:
      inputs: [batch, height, width, channels].
      training: whether batch norms without `norm_eval` use the statistics of the batch.

    Returns:
      [batch, ceil(height / stride), ceil(width / stride), filters] of the dtype of `inputs`.
    """
    return tf.nn.relu(self._run_path(inputs, training) + self._run_shortcut(inputs, training))

  def _run_shortcut(self, inputs: tf.Tensor, training: bool | None) -> tf.Tensor:
    if self.downsample is None:
      return inputs
    *pools, conv, norm = self.downsample
    for pool in pools:
      inputs = pool(inputs)
    return conv_norm(inputs, conv, norm, training)

  def compute_output_shape(self, input_shape: Sequence[int | None]) -> tf.TensorShape:
    """Shape of the output for an input [batch, height, width, channels]; None stays None."""
    batch, *sides = tf.TensorShape(input_shape).as_list()[:3]
    return tf.TensorShape(
      [batch, *(side and -(-side // self._stride) for side in sides), self._filters]
    )
