"""ResNet in the layout of the published HTC checkpoints."""

from typing import Dict

from official.modeling import hyperparams
from official.vision.modeling.backbones import factory
import tensorflow as tf
import tf_keras

from htc_tf.errors import ConfigError
from htc_tf.modeling.layers.batch_norm import BatchNorm
from htc_tf.modeling.layers.padded_conv import PaddedConv2D

# model_id: (bottleneck blocks, blocks of each of the four stages); He et al. 2016, table 1.
SPECS = {
    18: (False, (2, 2, 2, 2)),
    34: (False, (3, 4, 6, 3)),
    50: (True, (3, 4, 6, 3)),
    101: (True, (3, 4, 23, 3)),
}
_STAGE_FILTERS = (64, 128, 256, 512)
_BOTTLENECK_EXPANSION = 4


class PublishedResNet(tf_keras.Model):
  """ResNet (He et al. 2016) with symmetric padding and the stride in the 3x3 convolution.

  Model Garden's ResNet pads strided convolutions and the max-pool on one side only and cannot
  freeze single stages, so published detector weights do not give their features through it.

  Input [batch, height, width, 3]; output a dict {'2': C2, ..., '5': C5} of
  [batch, height / 2^level, width / 2^level, channels].

  Layer names follow the published state dict with '/' for '.': `layer1/0/conv1`, `bn1`,
  `layer2/0/downsample/0`.

  Args:
    model_id: one of `SPECS`.
    input_specs: `InputSpec` of the images.
    frozen_stages: what is not trained: 0 the stem, 1 the stem and `layer1`, ..., 4 everything;
      -1 nothing.
    norm_eval: batch norms keep their running statistics in training.
    width_multiplier: factor on every channel count.
    norm_momentum: momentum of the running statistics when `norm_eval` is off.
    norm_epsilon: added to the variance; 1e-5 as published.

  Raises:
    ConfigError: for an unknown `model_id` or number of frozen stages.
  """

  def __init__(self, model_id: int = 50,
               input_specs=tf_keras.layers.InputSpec(shape=[None, None, None, 3]),
               frozen_stages: int = 1, norm_eval: bool = True, width_multiplier: float = 1.0,
               norm_momentum: float = 0.9, norm_epsilon: float = 1e-5, **kwargs):
    if model_id not in SPECS:
      raise ConfigError('published_resnet cannot be built', expected=f'model_id in {list(SPECS)}',
                        got=repr(model_id), likely_cause='a depth this family does not have')
    if not -1 <= frozen_stages <= 4:
      raise ConfigError('published_resnet cannot be built', expected='frozen_stages from -1 to 4',
                        got=str(frozen_stages), likely_cause='ResNet has four stages')
    self._width_multiplier = width_multiplier
    self._norm_args = dict(norm_eval=norm_eval, momentum=norm_momentum, epsilon=norm_epsilon)
    bottleneck, num_blocks = SPECS[model_id]
    inputs = tf_keras.Input(shape=input_specs.shape[1:])
    x = self._stem(inputs)
    endpoints = {}
    for stage in range(4):
      for block in range(num_blocks[stage]):
        stride = 2 if stage > 0 and block == 0 else 1
        x = self._block(x, f'layer{stage + 1}/{block}', _STAGE_FILTERS[stage], stride, bottleneck)
      endpoints[str(stage + 2)] = x
    super().__init__(inputs=inputs, outputs=endpoints, **kwargs)
    self._output_specs = {level: x.shape for level, x in endpoints.items()}
    self._freeze(frozen_stages)

  def _conv_norm(self, x, filters, kernel_size, stride, conv_name, norm_name, gamma='ones'):
    x = PaddedConv2D(int(filters * self._width_multiplier), kernel_size, strides=stride,
                     use_bias=False, kernel_initializer='he_normal', name=conv_name)(x)
    return BatchNorm(name=norm_name, gamma_initializer=gamma, **self._norm_args)(x)

  def _stem(self, inputs):
    x = tf.nn.relu(self._conv_norm(inputs, 64, 7, 2, 'conv1', 'bn1'))
    # After the ReLU a padding of zeros acts as the published padding of minus infinity.
    x = tf_keras.layers.ZeroPadding2D(1, name='pool_padding')(x)
    return tf_keras.layers.MaxPool2D(3, 2, padding='valid', name='pool')(x)

  def _block(self, inputs, name, filters, stride, bottleneck):
    out_filters = filters * _BOTTLENECK_EXPANSION if bottleneck else filters
    # kernel size, filters, stride of the convolutions on the residual path
    convs = (((1, filters, 1), (3, filters, stride), (1, out_filters, 1)) if bottleneck
             else ((3, filters, stride), (3, filters, 1)))
    x = inputs
    for index, (kernel_size, conv_filters, conv_stride) in enumerate(convs, 1):
      # Blocks start as their shortcut (Goyal et al. 2017, section 5.1): without it features double
      # in variance at every block of a backbone that is trained from scratch with held statistics.
      gamma = 'zeros' if index == len(convs) else 'ones'
      x = self._conv_norm(x, conv_filters, kernel_size, conv_stride,
                          f'{name}/conv{index}', f'{name}/bn{index}', gamma)
      if index < len(convs):
        x = tf.nn.relu(x)
    shortcut = inputs
    if stride > 1 or inputs.shape[-1] != x.shape[-1]:
      shortcut = self._conv_norm(inputs, out_filters, 1, stride,
                                 f'{name}/downsample/0', f'{name}/downsample/1')
    return tf.nn.relu(x + shortcut)

  def _freeze(self, frozen_stages: int):
    if frozen_stages < 0:
      return
    prefixes = ('conv1', 'bn1') + tuple(f'layer{n}/' for n in range(1, frozen_stages + 1))
    for layer in self.layers:
      if layer.name.startswith(prefixes):
        layer.trainable = False

  @property
  def output_specs(self) -> Dict[str, tf.TensorShape]:
    """Shape of each output by level."""
    return self._output_specs


@factory.register_backbone_builder('published_resnet')
def build_published_resnet(input_specs: tf_keras.layers.InputSpec,
                           backbone_config: hyperparams.Config,
                           norm_activation_config: hyperparams.Config,
                           l2_regularizer=None) -> PublishedResNet:
  """Builds the backbone for Model Garden's factory; weight decay is the task's."""
  del l2_regularizer
  config = backbone_config.get()
  return PublishedResNet(
      model_id=config.model_id, input_specs=input_specs, frozen_stages=config.frozen_stages,
      norm_eval=config.norm_eval, width_multiplier=config.width_multiplier,
      norm_momentum=norm_activation_config.norm_momentum,
      norm_epsilon=norm_activation_config.norm_epsilon)
