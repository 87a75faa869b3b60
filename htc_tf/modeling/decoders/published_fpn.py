"""Feature pyramid network in the layout of the published HTC checkpoints."""

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf
import tf_keras
from official.modeling import hyperparams
from official.vision.modeling.decoders import factory

from htc_tf.errors import ConfigError
from htc_tf.modeling.layers.group_norm import GroupNormConv2D
from htc_tf.ops.resize import resize_nearest, spatial_size


class PublishedFPN(tf_keras.layers.Layer):
  """FPN (Lin et al. 2017): 1x1 laterals, nearest-neighbor top-down path, 3x3 outputs.

  Model Garden's FPN normalizes every output and computes its coarsest levels by convolutions. This
  FPN has biased convolutions, or group norms if they are asked for, and each level above those of
  the backbone consists of every second pixel of the level below it.

  Input and output: dicts {'2': [batch, h, w, channels], ...} by level.

  Args:
    input_levels: levels of the backbone's outputs.
    min_level: finest output level.
    max_level: coarsest output level.
    num_filters: channels of every output.
    norm_groups: number of groups of a group norm after each convolution, which then has no bias; 0
      for none.
    **kwargs: arguments of Layer.

  Raises:
    ConfigError: the backbone does not output `min_level`.
  """

  def __init__(
    self,
    input_levels: Iterable[str],
    min_level: int = 2,
    max_level: int = 6,
    num_filters: int = 256,
    norm_groups: int = 0,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    levels = sorted(int(level) for level in input_levels)
    self._levels = [level for level in levels if min_level <= level <= max_level]
    if not self._levels or self._levels[0] != min_level:
      raise ConfigError(
        'The FPN cannot be built',
        expected=f'backbone levels from {min_level} on',
        got=str(levels),
        likely_cause='a min_level that the backbone does not output',
      )
    self._max_level = max_level
    self._num_filters = num_filters
    self._norm_groups = norm_groups
    self._laterals = [self._conv(1, f'lateral_convs/{i}') for i in range(len(self._levels))]
    self._outputs = [self._conv(3, f'fpn_convs/{i}') for i in range(len(self._levels))]

  def _conv(self, kernel_size: int, name: str) -> tf_keras.layers.Layer:
    options: dict[str, Any] = {'kernel_initializer': 'glorot_uniform', 'name': name}
    if self._norm_groups:
      return GroupNormConv2D(self._num_filters, kernel_size, self._norm_groups, **options)
    return tf_keras.layers.Conv2D(self._num_filters, kernel_size, padding='same', **options)

  def call(self, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The pyramid of a batch.

    Args:
      features: level to [batch, ceil(height / 2^level), ceil(width / 2^level), channels] for
        `input_levels`; levels finer than `min_level` are not used.

    Returns:
      {'2': [batch, h, w, num_filters], ...} from `min_level` to `max_level`.
    """
    outputs: dict[str, tf.Tensor] = {}
    merged = None
    for level, lateral, conv in reversed(list(zip(self._levels, self._laterals, self._outputs))):
      # One level at a time, coarse levels first, so that the lateral maps are not all in memory.
      with tf.control_dependencies(list(outputs.values())):
        x = lateral(features[str(level)])
      merged = x if merged is None else x + resize_nearest(merged, spatial_size(x))
      outputs[str(level)] = conv(merged)
    for level in range(self._levels[-1] + 1, self._max_level + 1):
      outputs[str(level)] = outputs[str(level - 1)][:, ::2, ::2]
    return outputs

  @property
  def output_specs(self) -> dict[str, tf.TensorShape]:
    """Shape of each output by level."""
    shape = tf.TensorShape([None, None, None, self._num_filters])
    return {str(level): shape for level in range(self._levels[0], self._max_level + 1)}


@factory.register_decoder_builder('published_fpn')
def build_published_fpn(
  input_specs: Mapping[str, tf.TensorShape],
  model_config: hyperparams.Config,
  l2_regularizer: tf_keras.regularizers.Regularizer | None = None,
) -> PublishedFPN:
  """The decoder of a configuration, for Model Garden's factory.

  Args:
    input_specs: shapes of the backbone's outputs by level.
    model_config: `configs.model.HTC`; its `decoder.get()` is a `configs.model.PublishedFPN`.
    l2_regularizer: unused; the task adds weight decay.

  Raises:
    ConfigError: the backbone does not output `min_level`.
  """
  del l2_regularizer
  return PublishedFPN(
    input_specs,
    model_config.min_level,
    model_config.max_level,
    model_config.decoder.get().num_filters,
    model_config.decoder.get().norm_groups,
  )
