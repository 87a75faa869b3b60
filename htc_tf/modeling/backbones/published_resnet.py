"""ResNet, ResNeXt and Res2Net in the layout of the published HTC checkpoints."""

import itertools
from typing import Any

import tensorflow as tf
import tf_keras
from official.modeling import hyperparams
from official.vision.modeling.backbones import factory

from htc_tf.errors import ConfigError
from htc_tf.modeling.backbones.res2net_block import Res2NetBlock
from htc_tf.modeling.backbones.residual_block import EXPANSION, ResidualBlock
from htc_tf.modeling.backbones.resnet_options import BottleneckOptions, LayerOptions
from htc_tf.modeling.backbones.shortcut_block import BlockLayers, ShortcutBlock
from htc_tf.modeling.layers.batch_norm import BatchNorm, NormOptions
from htc_tf.modeling.layers.conv_norm import build_conv_norm, conv_norm
from htc_tf.modeling.layers.padded_conv import PaddedConv2D
from htc_tf.modeling.layers.standardized_conv import StandardizedConv2D

# model_id: (whether blocks are bottlenecks, number of blocks per stage); He et al. 2016, table 1.
SPECS = {
  18: (False, (2, 2, 2, 2)),
  34: (False, (3, 4, 6, 3)),
  50: (True, (3, 4, 6, 3)),
  101: (True, (3, 4, 23, 3)),
  152: (True, (3, 8, 36, 3)),
}
_STAGE_FILTERS = (64, 128, 256, 512)
_ANY_IMAGES = tf_keras.layers.InputSpec(shape=[None, None, None, 3])


_RESNET = BottleneckOptions()
_PLAIN_LAYERS = LayerOptions()
_FROZEN_STATISTICS = NormOptions()


class PublishedResNet(tf_keras.Model):
  """ResNet (He et al. 2016) with symmetric padding and the stride in the 3x3 convolution.

  With `bottleneck` and `layers`, it is ResNeXt, ResNet-D, Res2Net-D (v1d) or the backbone of
  DetectoRS as well.

  Model Garden's ResNet pads strided convolutions and the max-pool asymmetrically, so that published
  detector weights would give other features. It also cannot freeze single stages.

  Input [batch, height, width, channels]; output a dict {'2': C2, ..., '5': C5} of
  [batch, ceil(height / 2^level), ceil(width / 2^level), channels].

  Layers are reached by the names of the published state dict: `layer1[0].conv1`, `bn1`,
  `layer2[0].downsample[0]`. A deep stem is the list `stem` of three convolutions, each followed by
  its norm. Gradient tapes do not record the frozen stages.

  Args:
    model_id: depth, one of `SPECS`.
    input_specs: `InputSpec` of the images.
    frozen_stages: last frozen stage; 0 is the stem, 1 the stem and `layer1`, ..., 4 everything; -1
      freezes nothing.
    width_multiplier: factor on all channel counts.
    bottleneck: options of the bottleneck blocks.
    recompute: whether training keeps only the outputs of blocks and recomputes the rest in the
      backward pass (gradient checkpointing). Needs `norm.norm_eval`, since running statistics
      would be updated twice.
    norm: options of the batch norms.
    layers: options of the layers of all blocks and of the stem.
    **kwargs: arguments of Model.

  Raises:
    ConfigError: `model_id` or the number of frozen stages is unknown.
  """

  def __init__(
    self,
    model_id: int = 50,
    input_specs: tf_keras.layers.InputSpec = _ANY_IMAGES,
    frozen_stages: int = 1,
    width_multiplier: float = 1.0,
    bottleneck: BottleneckOptions = _RESNET,
    recompute: bool = False,
    norm: NormOptions = _FROZEN_STATISTICS,
    layers: LayerOptions = _PLAIN_LAYERS,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    _check(model_id, frozen_stages)
    self._image_shape = input_specs.shape
    self._recompute = recompute
    self._filters = [int(filters * width_multiplier) for filters in _STAGE_FILTERS]
    self._has_bottlenecks, num_blocks = SPECS[model_id]
    conv = StandardizedConv2D if layers.standardized else PaddedConv2D
    parts = BlockLayers(norm, conv, average_shortcut=layers.average_shortcut)
    self._create_stem(parts, layers.deep_stem)
    for stage, blocks in enumerate(num_blocks, 1):
      setattr(self, f'layer{stage}', self._create_stage(stage, blocks, parts, bottleneck))
    self._freeze(frozen_stages)
    self._build_variables()

  def _create_stem(self, layers: BlockLayers, deep: bool) -> None:
    filters = self._filters[0]
    if not deep:
      self.conv1 = layers.build_conv(filters, 7, 2, name='conv1')
      self.bn1 = layers.build_norm(name='bn1')
      return
    self.stem: list[tf_keras.layers.Layer] = []
    for stride, channels in ((2, filters // 2), (1, filters // 2), (1, filters)):
      position = len(self.stem)
      self.stem.append(layers.build_conv(channels, 3, stride, name=f'stem/{position}'))
      self.stem.append(layers.build_norm(name=f'stem/{position + 1}'))

  def _stem_pairs(self) -> list[tuple[PaddedConv2D, BatchNorm]]:
    """The convolutions of the stem with their norms."""
    if hasattr(self, 'stem'):
      return list(zip(self.stem[::2], self.stem[1::2]))
    return [(self.conv1, self.bn1)]

  def _create_stage(
    self, stage: int, num_blocks: int, layers: BlockLayers, bottleneck: BottleneckOptions
  ) -> list[ShortcutBlock]:
    layers = layers._replace(middle=bottleneck.middle(stage))
    filters = self._filters[stage - 1]
    width = int(filters * bottleneck.base_width / _STAGE_FILTERS[0])
    blocks: list[ShortcutBlock] = []
    for index in range(num_blocks):
      stride = 2 if stage > 1 and index == 0 else 1
      name = f'layer{stage}/{index}'
      if bottleneck.scales > 1:
        block: ShortcutBlock = Res2NetBlock(
          filters, stride, layers, width, bottleneck.scales, is_first=index == 0, name=name
        )
      else:
        block = self._block_class(stage, index)(
          filters,
          stride,
          layers,
          self._has_bottlenecks,
          bottleneck.groups,
          width * bottleneck.groups,
          name=name,
        )
      blocks.append(block)
    return blocks

  def _block_class(self, stage: int, index: int) -> type[ResidualBlock]:
    """Class of a block, by its stage, 1 to 4, and its index in the stage."""
    del stage, index
    return ResidualBlock

  def _freeze(self, frozen_stages: int) -> None:
    frozen: list[tf_keras.layers.Layer] = []
    if frozen_stages >= 0:
      frozen += itertools.chain(*self._stem_pairs())
    for stage in range(1, frozen_stages + 1):
      frozen += self._stage(stage)
    for layer in frozen:
      layer.trainable = False

  def _build_variables(self) -> None:
    shape = self._image_shape
    for conv, norm in self._stem_pairs():
      shape = build_conv_norm(conv, norm, shape)
    for block in itertools.chain(*map(self._stage, range(1, 5))):
      with tf.name_scope(block.name):
        block.build(shape)
      shape = block.compute_output_shape(shape)
    self.built = True

  def _stage(self, stage: int) -> list[ShortcutBlock]:
    return getattr(self, f'layer{stage}')

  def call(self, images: tf.Tensor, training: bool | None = None) -> dict[str, tf.Tensor]:
    """Feature maps of a batch.

    Args:
      images: [batch, height, width, channels], normalized by `data.preprocess`; padding is 0.
      training: whether batch norms without `norm_eval` use the statistics of the batch.

    Returns:
      {'2': C2, ..., '5': C5}, with the shapes given in the class docstring.
    """
    x = self._run_stem(images, training)
    endpoints = {}
    for stage in range(1, 5):
      for block in self._stage(stage):
        x = self._run(block, x, training=training)
      endpoints[str(stage + 1)] = x
    return endpoints

  def _run_stem(self, images: tf.Tensor, training: bool | None) -> tf.Tensor:
    """The input of the first stage, [batch, ceil(height / 4), ceil(width / 4), channels]."""
    x = images
    for conv, norm in self._stem_pairs():
      x = tf.nn.relu(conv_norm(x, conv, norm, training))
    # After a ReLU, padding with zeros is equivalent to the published padding with -infinity.
    return tf.nn.max_pool2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, 'VALID')

  def _run(self, block: ShortcutBlock, *inputs: tf.Tensor, training: bool | None) -> tf.Tensor:
    if self._recompute and training and block.trainable:
      return tf.recompute_grad(lambda *tensors: block(*tensors, training=training))(*inputs)
    return block(*inputs, training=training)

  @property
  def output_specs(self) -> dict[str, tf.TensorShape]:
    """Shape of each output by level."""
    expansion = EXPANSION if self._has_bottlenecks else 1
    sides = self._image_shape[1:3]
    return {
      str(level): tf.TensorShape(
        [None, *(side and -(-side // 2**level) for side in sides), filters * expansion]
      )
      for level, filters in enumerate(self._filters, 2)
    }


def _check(model_id: int, frozen_stages: int) -> None:
  if model_id not in SPECS:
    raise ConfigError(
      'published_resnet cannot be built',
      expected=f'model_id in {list(SPECS)}',
      got=repr(model_id),
      likely_cause='a depth that this family does not have',
    )
  if not -1 <= frozen_stages <= 4:
    raise ConfigError(
      'published_resnet cannot be built',
      expected='frozen_stages from -1 to 4',
      got=str(frozen_stages),
      likely_cause='ResNet has four stages',
    )


@factory.register_backbone_builder('published_resnet')
def build_published_resnet(
  input_specs: tf_keras.layers.InputSpec,
  backbone_config: hyperparams.Config,
  norm_activation_config: hyperparams.Config,
  l2_regularizer: tf_keras.regularizers.Regularizer | None = None,
) -> PublishedResNet:
  """The backbone of a configuration, for Model Garden's factory.

  Args:
    input_specs: shape of the images, [batch, height, width, channels].
    backbone_config: configuration whose `get()` is a `configs.features.PublishedResNet`.
    norm_activation_config: configuration of the batch norms.
    l2_regularizer: unused; the task adds weight decay.

  Raises:
    ConfigError: `model_id` or the number of frozen stages is unknown.
  """
  del l2_regularizer
  arguments = configured_arguments(backbone_config.get(), norm_activation_config)
  return PublishedResNet(input_specs=input_specs, **arguments)


def configured_arguments(
  config: hyperparams.Config, norm_activation_config: hyperparams.Config
) -> dict[str, Any]:
  """The arguments of `PublishedResNet` for a configuration, except for `input_specs`.

  Args:
    config: a `configs.features.PublishedResNet`.
    norm_activation_config: configuration of the batch norms.
  """
  return {
    'model_id': config.model_id,
    'frozen_stages': config.frozen_stages,
    'width_multiplier': config.width_multiplier,
    'bottleneck': BottleneckOptions(
      config.groups,
      config.base_width,
      config.deformable_stages,
      config.scales,
      config.switchable_stages,
      config.modulated,
    ),
    'recompute': config.recompute,
    'norm': NormOptions.configured(config.norm_eval, norm_activation_config, config.train_norms),
    'layers': LayerOptions(config.deep_stem, config.avg_down, config.standardized),
  }
