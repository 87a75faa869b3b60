"""Residual block of Res2Net."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from htc_tf.modeling.backbones.residual_block import EXPANSION
from htc_tf.modeling.backbones.shortcut_block import BlockLayers, ShortcutBlock
from htc_tf.modeling.layers.conv_norm import build_conv_norm, conv_norm


class Res2NetBlock(ShortcutBlock):
  """Bottleneck whose 3x3 convolution works on scales of few channels (Gao et al. 2019, figure 2).

  The result of `conv1` is split into scales. Each but the last has a 3x3 convolution of its own,
  whose input also contains the result of the scale before, so that the receptive field grows from
  scale to scale (equation 1 with the identity on the last scale instead of the first). The results
  and the last scale are the input of `conv3`.

  The first block of a stage connects no scales, because the stride changes their size; with a
  stride, it averages 3x3 pixels of the last scale. The padding counts as pixels of value 0 there.

  Its parts are named as in the published state dicts: `conv1`, `bn1`, `convs`, `bns`, `conv3`,
  `bn3`, and `downsample`.

  Input [batch, height, width, channels]; output [batch, ceil(height / stride), ..., EXPANSION *
  filters].

  Args:
    filters: channels of the block.
    stride: stride of the block.
    layers: classes and options of the layers.
    width: channels of each scale.
    num_scales: number of scales; 2 or more.
    is_first: whether the block is the first of its stage.
    **kwargs: arguments of Layer.
  """

  _always_pools = True

  def __init__(
    self,
    filters: int,
    stride: int,
    layers: BlockLayers,
    width: int,
    num_scales: int = 4,
    is_first: bool = False,
    **kwargs: Any,
  ):
    super().__init__(filters * EXPANSION, stride, layers, **kwargs)
    self._num_scales = num_scales
    self._is_first = is_first
    self.conv1 = layers.build_conv(width * num_scales, 1, name='conv1')
    self.bn1 = layers.build_norm(name='bn1')
    self.convs = [
      layers.build_conv(width, 3, stride, layers.middle, name=f'convs/{scale}')
      for scale in range(num_scales - 1)
    ]
    self.bns = [layers.build_norm(name=f'bns/{scale}') for scale in range(num_scales - 1)]
    self.conv3 = layers.build_conv(self._filters, 1, name='conv3')
    self.bn3 = layers.build_norm(gamma_initializer='zeros', name='bn3')

  def _build_path(self, input_shape: Sequence[int | None]) -> None:
    shape = build_conv_norm(self.conv1, self.bn1, input_shape)
    scale_shape = [*shape[:3], shape[3] // self._num_scales]
    for conv, norm in zip(self.convs, self.bns):
      sides = build_conv_norm(conv, norm, scale_shape)[1:3]
    build_conv_norm(self.conv3, self.bn3, [shape[0], *sides, shape[3]])

  def _run_path(self, inputs: tf.Tensor, training: bool | None) -> tf.Tensor:
    x = tf.nn.relu(conv_norm(inputs, self.conv1, self.bn1, training))
    *scales, last = tf.split(x, self._num_scales, axis=-1)
    outputs: list[tf.Tensor] = []
    for scale, conv, norm in zip(scales, self.convs, self.bns):
      connected = scale + outputs[-1] if outputs and not self._is_first else scale
      outputs.append(tf.nn.relu(conv_norm(connected, conv, norm, training)))
    if self._stride > 1:
      padded = tf.pad(last, [[0, 0], [1, 1], [1, 1], [0, 0]])
      last = tf.nn.avg_pool2d(padded, 3, self._stride, 'VALID')
    return conv_norm(tf.concat([*outputs, last], -1), self.conv3, self.bn3, training)
