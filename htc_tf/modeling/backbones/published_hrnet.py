"""HRNet in the layout of the published checkpoints."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import tensorflow as tf
import tf_keras
from official.modeling import hyperparams
from official.vision.modeling.backbones import factory

from htc_tf.errors import ConfigError
from htc_tf.modeling.backbones.branch_paths import Path, build_path, convs_of
from htc_tf.modeling.backbones.high_resolution_module import HighResolutionModule
from htc_tf.modeling.backbones.residual_block import EXPANSION, ResidualBlock
from htc_tf.modeling.backbones.shortcut_block import BlockLayers
from htc_tf.modeling.layers.batch_norm import BatchNorm, NormOptions
from htc_tf.modeling.layers.conv_norm import build_conv_norm, conv_norm
from htc_tf.modeling.layers.normed_conv import NormedConv2D
from htc_tf.modeling.layers.padded_conv import PaddedConv2D
from htc_tf.ops.without_autograph import without_autograph

_ANY_IMAGES = tf_keras.layers.InputSpec(shape=[None, None, None, 3])
_Item = TypeVar('_Item')
_STAGES = (2, 3, 4)  # Stage s has s branches.
_FINEST_LEVEL = 2


class HRNetSize(NamedTuple):
  """Widths and depths.

  Attributes:
    width: channels of the finest branch; each further branch has twice as many.
    num_modules: number of modules of the stages 2, 3 and 4.
    num_blocks: number of residual blocks of stage 1, and of each branch of a module.
    stem_filters: channels of the stem, and inner channels of the bottlenecks of stage 1.
  """

  width: int = 32
  num_modules: Sequence[int] = (1, 4, 3)
  num_blocks: int = 4
  stem_filters: int = 64


_PUBLISHED = HRNetSize()
_FROZEN_STATISTICS = NormOptions()


class PublishedHRNet(tf_keras.Model):
  """HRNet (Wang et al. 2020): branches of all resolutions in parallel, with repeated exchange.

  A stem of two 3x3 convolutions of stride 2, and a stage of bottlenecks. Each of the stages 2, 3
  and 4 then adds a branch of half the resolution, and consists of `HighResolutionModule`s.

  Input [batch, height, width, channels]; output a dict {'2': C2, ..., '5': C5} of
  [batch, ceil(height / 2^level), ceil(width / 2^level), width * 2^(level - 2)]. The published
  networks only read images whose sides, divided by 4 and rounded up, are multiples of 8, such as
  multiples of 32. Other images work here; a coarse map is then resized to the size of a finer one.

  Layers are reached by the names of the published state dict: `layer1[0].conv1`,
  `transition1[1][0]`, `stage2[0].branches[1][0]`, `stage2[0].fuse_layers[0][1]`. Gradient tapes do
  not record the frozen stages.

  Args:
    size: widths and depths.
    input_specs: `InputSpec` of the images.
    frozen_stages: last frozen stage; 0 is the stem, 1 the stem and `layer1`, 2 also `transition1`
      and `stage2`, ..., 4 everything; -1 freezes nothing, as published.
    recompute: whether training keeps only the outputs of modules, and of the blocks of stage 1, and
      recomputes the rest in the backward pass. Needs `norm.norm_eval`, since running statistics
      would be updated twice.
    norm: options of the batch norms.
    **kwargs: arguments of Model.

  Raises:
    ConfigError: the number of stages or of frozen stages is another one.
  """

  def __init__(
    self,
    size: HRNetSize = _PUBLISHED,
    input_specs: tf_keras.layers.InputSpec = _ANY_IMAGES,
    frozen_stages: int = -1,
    recompute: bool = False,
    norm: NormOptions = _FROZEN_STATISTICS,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    _check(size, frozen_stages)
    self._image_shape = input_specs.shape
    self._recompute = recompute
    self._widths = [size.width * 2**branch for branch in range(_STAGES[-1])]
    self.conv1, self.conv2 = (_stem_conv(size.stem_filters, index) for index in (1, 2))
    self.bn1, self.bn2 = (BatchNorm(name=f'bn{index}', **norm._asdict()) for index in (1, 2))
    self.layer1 = [
      ResidualBlock(size.stem_filters, 1, BlockLayers(norm), name=f'layer1/{block}')
      for block in range(size.num_blocks)
    ]
    self._make_stages(size, norm)
    self._freeze(frozen_stages)
    self._build_variables()

  def _make_stages(self, size: HRNetSize, norm: NormOptions) -> None:
    """The stages 2, 3 and 4, each after a transition from the widths of the stage before."""
    widths = [size.stem_filters * EXPANSION]
    for stage, num_modules in zip(_STAGES, size.num_modules):
      new_widths = self._widths[:stage]
      setattr(self, f'transition{stage - 1}', _transition(stage - 1, widths, new_widths, norm))
      modules = [
        HighResolutionModule(new_widths, size.num_blocks, norm, name=f'stage{stage}/{module}')
        for module in range(num_modules)
      ]
      setattr(self, f'stage{stage}', modules)
      widths = new_widths

  def _freeze(self, frozen_stages: int) -> None:
    parts: list[list[tf_keras.layers.Layer]] = [
      [self.conv1, self.bn1, self.conv2, self.bn2],
      self.layer1,
      *(
        [*itertools.chain(*map(convs_of, self._paths_to(stage))), *self._stage(stage)]
        for stage in _STAGES
      ),
    ]
    for part in parts[: frozen_stages + 1]:
      for layer in part:
        layer.trainable = False

  def _build_variables(self) -> None:
    shape = build_conv_norm(self.conv1, self.bn1, self._image_shape)
    shape = build_conv_norm(self.conv2, self.bn2, shape)
    for block in self.layer1:
      _build(block, shape)
      shape = block.compute_output_shape(shape)
    shapes = [shape]
    for stage in _STAGES:
      paths = self._paths_to(stage)
      shapes = [build_path(path, _read_by(b, shapes)) for b, path in enumerate(paths)]
      for module in self._stage(stage):
        _build(module, shapes)
    self.built = True

  def _paths_to(self, stage: int) -> list[Path]:
    """The paths from the maps of the stage before to the maps that `stage` reads."""
    return getattr(self, f'transition{stage - 1}')

  def _stage(self, stage: int) -> list[HighResolutionModule]:
    return getattr(self, f'stage{stage}')

  @without_autograph
  def call(self, images: tf.Tensor, training: bool | None = None) -> dict[str, tf.Tensor]:
    """Feature maps of a batch.

    Args:
      images: [batch, height, width, channels], normalized by `data.preprocess`; padding is 0.
      training: whether batch norms without `norm_eval` use the statistics of the batch.

    Returns:
      {'2': C2, ..., '5': C5}, with the shapes given in the class docstring.
    """
    x = tf.nn.relu(conv_norm(images, self.conv1, self.bn1, training))
    maps = [tf.nn.relu(conv_norm(x, self.conv2, self.bn2, training))]
    for block in self.layer1:
      maps = self._run(block, maps, training)
    for stage in _STAGES:
      maps = _enter(self._paths_to(stage), maps, training)
      for module in self._stage(stage):
        maps = self._run(module, maps, training)
    return {str(level): x for level, x in enumerate(maps, _FINEST_LEVEL)}

  def _run(
    self, layer: tf_keras.layers.Layer, maps: Sequence[tf.Tensor], training: bool | None
  ) -> list[tf.Tensor]:
    """Outputs of a residual block for one map, or of a module for the maps of its branches."""

    def run(*inputs: tf.Tensor) -> list[tf.Tensor]:
      outputs = layer(inputs if len(inputs) > 1 else inputs[0], training=training)
      return outputs if isinstance(outputs, list) else [outputs]

    if self._recompute and training and layer.trainable:
      return tf.recompute_grad(run)(*maps)
    return run(*maps)

  @property
  def output_specs(self) -> dict[str, tf.TensorShape]:
    """Shape of each output by level."""
    sides = self._image_shape[1:3]
    return {
      str(level): tf.TensorShape(
        [None, *(side and -(-side // 2**level) for side in sides), filters]
      )
      for level, filters in enumerate(self._widths, _FINEST_LEVEL)
    }


def _stem_conv(filters: int, index: int) -> PaddedConv2D:
  return PaddedConv2D(
    filters, 3, strides=2, use_bias=False, kernel_initializer='he_normal', name=f'conv{index}'
  )


def _transition(
  index: int, widths: Sequence[int], new_widths: Sequence[int], norm: NormOptions
) -> list[Path]:
  """One path per branch of the next stage: a change of width, or a new branch from the last one."""
  paths: list[Path] = []
  for branch, width in enumerate(new_widths):
    name = f'transition{index}/{branch}'
    if branch >= len(widths):
      paths.append([NormedConv2D(width, 3, norm, stride=2, name=f'{name}/0')])
    elif width != widths[branch]:
      paths.append(NormedConv2D(width, 3, norm, name=name))
    else:
      paths.append(None)
  return paths


def _read_by(branch: int, items: Sequence[_Item]) -> _Item:
  """The item of the branch that a path to `branch` starts from; a new branch reads the last one."""
  return items[min(branch, len(items) - 1)]


def _enter(
  paths: Sequence[Path], maps: Sequence[tf.Tensor], training: bool | None
) -> list[tf.Tensor]:
  """The maps that a stage reads, of those of the stage before it."""
  entered = []
  for branch, path in enumerate(paths):
    x = _read_by(branch, maps)
    for conv in convs_of(path):
      x = tf.nn.relu(conv(x, training=training))
    entered.append(x)
  return entered


def _build(layer: tf_keras.layers.Layer, shape: Any) -> None:
  with tf.name_scope(layer.name):
    layer.build(shape)


def _check(size: HRNetSize, frozen_stages: int) -> None:
  if len(size.num_modules) != len(_STAGES):
    raise ConfigError(
      'published_hrnet cannot be built',
      expected='num_modules of the stages 2, 3 and 4',
      got=str(list(size.num_modules)),
      likely_cause='a number for stage 1, which has no modules',
    )
  if not -1 <= frozen_stages <= 4:
    raise ConfigError(
      'published_hrnet cannot be built',
      expected='frozen_stages from -1 to 4',
      got=str(frozen_stages),
      likely_cause='HRNet has four stages',
    )


@factory.register_backbone_builder('published_hrnet')
def build_published_hrnet(
  input_specs: tf_keras.layers.InputSpec,
  backbone_config: hyperparams.Config,
  norm_activation_config: hyperparams.Config,
  l2_regularizer: tf_keras.regularizers.Regularizer | None = None,
) -> PublishedHRNet:
  """The backbone of a configuration, for Model Garden's factory.

  Args:
    input_specs: shape of the images, [batch, height, width, channels].
    backbone_config: configuration whose `get()` is a `configs.features.PublishedHRNet`.
    norm_activation_config: configuration of the batch norms.
    l2_regularizer: unused; the task adds weight decay.

  Raises:
    ConfigError: the number of stages or of frozen stages is another one.
  """
  del l2_regularizer
  config = backbone_config.get()
  return PublishedHRNet(
    HRNetSize(config.width, config.num_modules, config.num_blocks, config.stem_filters),
    input_specs,
    config.frozen_stages,
    config.recompute,
    NormOptions.configured(config.norm_eval, norm_activation_config),
  )
