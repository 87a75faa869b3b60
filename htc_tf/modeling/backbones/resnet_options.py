"""Options of the published ResNet."""

from collections.abc import Sequence
from typing import NamedTuple

from htc_tf.modeling.layers.deform_conv import DeformConv2D
from htc_tf.modeling.layers.modulated_deform_conv import ModulatedDeformConv2D
from htc_tf.modeling.layers.padded_conv import PaddedConv2D
from htc_tf.modeling.layers.switchable_conv import SwitchableConv2D


class BottleneckOptions(NamedTuple):
  """Options of the bottleneck blocks.

  Attributes:
    groups: number of groups of the 3x3 convolutions, the cardinality of ResNeXt (Xie et al. 2017).
    base_width: channels per group, or per scale, in the first stage; ResNet has 64 in one group.
    deformable_stages: stages, 1 to 4, whose 3x3 convolutions are deformable.
    scales: number of scales of a `Res2NetBlock`; 1 for a `ResidualBlock`.
    switchable_stages: stages, 1 to 4, whose 3x3 convolutions are `SwitchableConv2D`.
    modulated: whether deformable convolutions are `ModulatedDeformConv2D`.
  """

  groups: int = 1
  base_width: int = 64
  deformable_stages: Sequence[int] = ()
  scales: int = 1
  switchable_stages: Sequence[int] = ()
  modulated: bool = False

  def middle(self, stage: int) -> type[PaddedConv2D] | None:
    """Class of the 3x3 convolutions of a stage; None for that of the other convolutions."""
    if stage in self.switchable_stages:
      return SwitchableConv2D
    if stage not in self.deformable_stages:
      return None
    return ModulatedDeformConv2D if self.modulated else DeformConv2D


class LayerOptions(NamedTuple):
  """Options of the layers of all blocks and of the stem.

  Attributes:
    deep_stem: whether the stem is three 3x3 convolutions instead of one 7x7 convolution (ResNet-D,
      He et al. 2019, section 4.2).
    average_shortcut: whether shortcuts of stride 2 average 2x2 pixels, as in `BlockLayers`.
    standardized: whether convolutions are `StandardizedConv2D`.
  """

  deep_stem: bool = False
  average_shortcut: bool = False
  standardized: bool = False
