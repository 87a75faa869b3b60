"""Module of HRNet: parallel branches and their exchange."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.backbones.branch_paths import Path, build_path, convs_of
from htc_tf.modeling.backbones.residual_block import ResidualBlock
from htc_tf.modeling.backbones.shortcut_block import BlockLayers
from htc_tf.modeling.layers.batch_norm import NormOptions
from htc_tf.modeling.layers.normed_conv import NormedConv2D
from htc_tf.ops.resize import resize_nearest, spatial_size


class HighResolutionModule(tf_keras.layers.Layer):
  """Branches of residual blocks, each at half the resolution of the one before, and their exchange.

  After its blocks, each branch receives the sum of all branches (Wang et al. 2020, section 3.2): of
  coarser ones by a 1x1 convolution and nearest-neighbor upsampling, of finer ones by one 3x3
  convolution of stride 2 per halving, with a ReLU between them. A ReLU follows the sum.

  Its parts are named as in the published state dicts: `branches[branch][block]`, and
  `fuse_layers[target][source]`.

  Input and output: one map per branch, [batch, ceil(height / 2^branch), ..., widths[branch]].

  Args:
    widths: channels of each branch.
    num_blocks: number of residual blocks per branch.
    norm: options of the batch norms.
    **kwargs: arguments of Layer.
  """

  def __init__(self, widths: Sequence[int], num_blocks: int, norm: NormOptions, **kwargs: Any):
    super().__init__(**kwargs)
    self._norm_options = norm
    self.branches = [
      [
        ResidualBlock(
          width, 1, BlockLayers(norm), bottleneck=False, name=f'branches/{branch}/{block}'
        )
        for block in range(num_blocks)
      ]
      for branch, width in enumerate(widths)
    ]
    self.fuse_layers = [
      [self._path(widths, source, target) for source in range(len(widths))]
      for target in range(len(widths))
    ]

  def _path(self, widths: Sequence[int], source: int, target: int) -> Path:
    """The convolutions from branch `source` to branch `target`."""
    norm, name = self._norm_options, f'fuse_layers/{target}/{source}'
    if source == target:
      return None
    if source > target:
      return NormedConv2D(widths[target], 1, norm, name=name)
    # All but the last one keep the number of channels.
    filters = [widths[source]] * (target - source - 1) + [widths[target]]
    return [
      NormedConv2D(num, 3, norm, stride=2, name=f'{name}/{step}')
      for step, num in enumerate(filters)
    ]

  def build(self, input_shape: Sequence[Sequence[int | None]]) -> None:
    """Create the variables for one shape [batch, height, width, channels] per branch."""
    for shape, blocks in zip(input_shape, self.branches):
      for block in blocks:
        with tf.name_scope(block.name):
          block.build(shape)
    for paths in self.fuse_layers:
      for shape, path in zip(input_shape, paths):
        build_path(path, shape)
    super().build(input_shape)

  def call(self, inputs: Sequence[tf.Tensor], training: bool | None = None) -> list[tf.Tensor]:
    """Maps of all branches after their blocks and the exchange.

    Args:
      inputs: one map per branch, [batch, ceil(height / 2^branch), ..., widths[branch]].
      training: whether batch norms without `norm_eval` use the statistics of the batch.

    Returns:
      Maps of the same shapes and dtype.
    """
    maps = list(inputs)
    for branch, blocks in enumerate(self.branches):
      for block in blocks:
        maps[branch] = block(maps[branch], training=training)
    return [self._fused(maps, target, training) for target in range(len(maps))]

  def _fused(self, maps: Sequence[tf.Tensor], target: int, training: bool | None) -> tf.Tensor:
    """ReLU of the sum of all branches at the size of branch `target`."""
    total = None
    for x, path in zip(maps, self.fuse_layers[target]):
      part = _follow(x, path, training)
      if isinstance(path, NormedConv2D):
        part = resize_nearest(part, spatial_size(maps[target]))
      total = part if total is None else total + part
    return tf.nn.relu(total)


def _follow(x: tf.Tensor, path: Path, training: bool | None) -> tf.Tensor:
  """The map after the convolutions of a path, with a ReLU between them."""
  for step, conv in enumerate(convs_of(path)):
    x = conv(tf.nn.relu(x) if step else x, training=training)
  return x
