"""Residual block of ResNet and ResNeXt."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from htc_tf.modeling.backbones.shortcut_block import BlockLayers, ShortcutBlock
from htc_tf.modeling.layers.batch_norm import BatchNorm
from htc_tf.modeling.layers.conv_norm import build_conv_norm, conv_norm
from htc_tf.modeling.layers.padded_conv import PaddedConv2D

EXPANSION = 4  # output channels of a bottleneck block per inner channel


class ResidualBlock(ShortcutBlock):
  """A block of two or three convolutions; the stride is in the (first) 3x3 convolution.

  Its parts are named as in the published state dicts: `conv1`, `bn1`, ..., and `downsample`.

  Input [batch, height, width, channels]; output [batch, ceil(height / stride), ..., filters], or
  EXPANSION times as many channels with `bottleneck`.

  Args:
    filters: channels of the block.
    stride: stride of the block.
    layers: classes and options of the layers.
    bottleneck: whether the path is 1x1, 3x3, 1x1 convolutions instead of two 3x3 convolutions.
    groups: number of groups of the bottleneck's 3x3 convolution.
    width: channels of the bottleneck's 3x3 convolution; `filters` if None.
    **kwargs: arguments of Layer.
  """

  def __init__(
    self,
    filters: int,
    stride: int,
    layers: BlockLayers,
    bottleneck: bool = True,
    groups: int = 1,
    width: int | None = None,
    **kwargs: Any,
  ):
    super().__init__(filters * EXPANSION if bottleneck else filters, stride, layers, **kwargs)
    build_conv = layers.build_conv
    convs: tuple[PaddedConv2D, ...]
    if bottleneck:
      convs = (
        build_conv(width or filters, 1, name='conv1'),
        build_conv(width or filters, 3, stride, layers.middle, groups=groups, name='conv2'),
        build_conv(self._filters, 1, name='conv3'),
      )
    else:
      convs = (
        build_conv(filters, 3, stride, name='conv1'),
        build_conv(filters, 3, name='conv2'),
      )
    self._num_convs = len(convs)
    for index, conv in enumerate(convs, 1):
      # Blocks start as their shortcut (Goyal et al. 2017, section 5.1). Otherwise the variance of
      # the features doubles at every block if a backbone is trained from scratch with frozen batch
      # norm statistics.
      gamma = 'zeros' if index == len(convs) else 'ones'
      setattr(self, f'conv{index}', conv)
      setattr(self, f'bn{index}', layers.build_norm(gamma_initializer=gamma, name=f'bn{index}'))

  def _build_path(self, input_shape: Sequence[int | None]) -> None:
    shape = input_shape
    for index in range(1, self._num_convs + 1):
      conv, norm = self._conv_and_norm(index)
      shape = build_conv_norm(conv, norm, shape)

  def _run_path(self, inputs: tf.Tensor, training: bool | None) -> tf.Tensor:
    x = inputs
    for index in range(1, self._num_convs):
      conv, norm = self._conv_and_norm(index)
      x = tf.nn.relu(conv_norm(x, conv, norm, training))
    conv, norm = self._conv_and_norm(self._num_convs)
    return conv_norm(x, conv, norm, training)

  def _conv_and_norm(self, index: int) -> tuple[PaddedConv2D, BatchNorm]:
    return getattr(self, f'conv{index}'), getattr(self, f'bn{index}')
