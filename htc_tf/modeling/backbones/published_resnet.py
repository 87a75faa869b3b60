"""ResNet and ResNeXt in the layout of the published HTC checkpoints."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras
from official.modeling import hyperparams
from official.vision.modeling.backbones import factory

from htc_tf.errors import ConfigError
from htc_tf.modeling.backbones.residual_block import EXPANSION, ResidualBlock
from htc_tf.modeling.layers.batch_norm import BatchNorm
from htc_tf.modeling.layers.conv_norm import build_conv_norm, conv_norm
from htc_tf.modeling.layers.padded_conv import PaddedConv2D

# model_id: (bottleneck blocks, blocks of each of the four stages); He et al. 2016, table 1.
SPECS = {
  18: (False, (2, 2, 2, 2)),
  34: (False, (3, 4, 6, 3)),
  50: (True, (3, 4, 6, 3)),
  101: (True, (3, 4, 23, 3)),
}
_STAGE_FILTERS = (64, 128, 256, 512)
_ANY_IMAGES = tf_keras.layers.InputSpec(shape=[None, None, None, 3])


class PublishedResNet(tf_keras.Model):
  """ResNet (He et al. 2016) with symmetric padding and the stride in the 3x3 convolution.

  Model Garden's ResNet pads strided convolutions and the max-pool on one side only and cannot
  freeze single stages, so published detector weights do not give their features through it.

  Input [batch, height, width, 3]; output a dict {'2': C2, ..., '5': C5} of
  [batch, ceil(height / 2^level), ceil(width / 2^level), channels].

  Attributes lead to the variables as names do in the published state dict: `layer1[0].conv1`,
  `bn1`, `layer2[0].downsample[0]`. Of the frozen stages nothing is recorded by a gradient tape.

  Args:
    model_id: one of `SPECS`.
    input_specs: `InputSpec` of the images.
    frozen_stages: what is not trained: 0 the stem, 1 the stem and `layer1`, ..., 4 everything;
      -1 nothing.
    norm_eval: batch norms keep their running statistics in training.
    width_multiplier: factor on every channel count.
    groups: of the 3x3 convolutions of bottleneck blocks: the cardinality of ResNeXt (Xie et al.
      2017).
    base_width: channels of a group in the first stage; 64 with one group is ResNet.
    deformable_stages: stages, 1 to 4, whose bottleneck blocks have a deformable 3x3 convolution.
    recompute: training keeps the outputs of blocks alone and computes the rest again for the
      backward pass. Needs `norm_eval`: statistics would move twice.
    norm_momentum: momentum of the running statistics when `norm_eval` is off.
    norm_epsilon: added to the variance; 1e-5 as published.
    norm_synchronized: where `norm_eval` is off, normalise with the statistics of the batches of all
      replicas together; off, each replica uses those of its own.
    **kwargs: passed to Model.

  Raises:
    ConfigError: for an unknown `model_id` or number of frozen stages.
  """

  def __init__(
    self,
    model_id: int = 50,
    input_specs: tf_keras.layers.InputSpec = _ANY_IMAGES,
    frozen_stages: int = 1,
    norm_eval: bool = True,
    width_multiplier: float = 1.0,
    groups: int = 1,
    base_width: int = 64,
    deformable_stages: Sequence[int] = (),
    recompute: bool = False,
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    norm_synchronized: bool = False,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    if model_id not in SPECS:
      raise ConfigError(
        'published_resnet cannot be built',
        expected=f'model_id in {list(SPECS)}',
        got=repr(model_id),
        likely_cause='a depth this family does not have',
      )
    if not -1 <= frozen_stages <= 4:
      raise ConfigError(
        'published_resnet cannot be built',
        expected='frozen_stages from -1 to 4',
        got=str(frozen_stages),
        likely_cause='ResNet has four stages',
      )
    self._image_shape = input_specs.shape
    self._recompute = recompute
    self._norm_args = {
      'norm_eval': norm_eval,
      'momentum': norm_momentum,
      'epsilon': norm_epsilon,
      'synchronized': norm_synchronized,
    }
    self._filters = [int(filters * width_multiplier) for filters in _STAGE_FILTERS]
    self._bottleneck, num_blocks = SPECS[model_id]
    self.conv1 = PaddedConv2D(
      self._filters[0], 7, strides=2, use_bias=False, kernel_initializer='he_normal', name='conv1'
    )
    self.bn1 = BatchNorm(name='bn1', **self._norm_args)
    for stage, filters in enumerate(self._filters, 1):
      width = int(filters * base_width / _STAGE_FILTERS[0]) * groups
      block_args = {
        'bottleneck': self._bottleneck,
        'groups': groups,
        'width': width,
        'deformable': stage in deformable_stages,
      }
      setattr(self, f'layer{stage}', self._blocks(stage, num_blocks[stage - 1], block_args))
    self._freeze(frozen_stages)
    self._build_variables()

  def _blocks(
    self, stage: int, num_blocks: int, block_args: Mapping[str, Any]
  ) -> list[ResidualBlock]:
    strides = [1 if stage == 1 else 2] + [1] * (num_blocks - 1)
    return [
      ResidualBlock(
        self._filters[stage - 1],
        stride,
        self._norm_args,
        name=f'layer{stage}/{index}',
        **block_args,
      )
      for index, stride in enumerate(strides)
    ]

  def _freeze(self, frozen_stages: int) -> None:
    frozen = [self.conv1, self.bn1] if frozen_stages >= 0 else []
    for stage in range(1, frozen_stages + 1):
      frozen += self._stage(stage)
    for layer in frozen:
      layer.trainable = False

  def _build_variables(self) -> None:
    shape = build_conv_norm(self.conv1, self.bn1, self._image_shape)
    for block in itertools.chain(*map(self._stage, range(1, 5))):
      with tf.name_scope(block.name):
        block.build(shape)
      shape = block.compute_output_shape(shape)
    self.built = True

  def _stage(self, stage: int) -> list[ResidualBlock]:
    return getattr(self, f'layer{stage}')

  def call(self, images: tf.Tensor, training: bool | None = None) -> dict[str, tf.Tensor]:
    """Feature maps of a batch.

    Args:
      images: [batch, height, width, 3], normalised as `data.preprocess` does it; padding is 0.
      training: whether batch norms that are not held use the batch's statistics.

    Returns:
      {'2': C2, ..., '5': C5}, shapes as the class states them.
    """
    x = tf.nn.relu(conv_norm(images, self.conv1, self.bn1, training))
    # After the ReLU a padding of zeros acts as the published padding of minus infinity.
    x = tf.nn.max_pool2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, 'VALID')
    endpoints = {}
    for stage in range(1, 5):
      for block in self._stage(stage):
        x = self._run(block, x, training)
      endpoints[str(stage + 1)] = x
    return endpoints

  def _run(self, block: ResidualBlock, x: tf.Tensor, training: bool | None) -> tf.Tensor:
    if self._recompute and training and block.trainable:
      return tf.recompute_grad(lambda inputs: block(inputs, training=training))(x)
    return block(x, training=training)

  @property
  def output_specs(self) -> dict[str, tf.TensorShape]:
    """Shape of each output by level."""
    expansion = EXPANSION if self._bottleneck else 1
    sides = self._image_shape[1:3]
    return {
      str(level): tf.TensorShape(
        [None, *(side and -(-side // 2**level) for side in sides), filters * expansion]
      )
      for level, filters in enumerate(self._filters, 2)
    }


@factory.register_backbone_builder('published_resnet')
def build_published_resnet(
  input_specs: tf_keras.layers.InputSpec,
  backbone_config: hyperparams.Config,
  norm_activation_config: hyperparams.Config,
  l2_regularizer: tf_keras.regularizers.Regularizer | None = None,
) -> PublishedResNet:
  """Builds the backbone for Model Garden's factory.

  Args:
    input_specs: shape of the images, [batch, height, width, 3].
    backbone_config: whose `get()` is a `configs.model.PublishedResNet`.
    norm_activation_config: of the batch norms.
    l2_regularizer: unused; weight decay is the task's.

  Raises:
    ConfigError: see `PublishedResNet`.
  """
  del l2_regularizer
  return PublishedResNet(
    input_specs=input_specs,
    **backbone_config.get().as_dict(),
    norm_momentum=norm_activation_config.norm_momentum,
    norm_epsilon=norm_activation_config.norm_epsilon,
    norm_synchronized=norm_activation_config.use_sync_bn,
  )
