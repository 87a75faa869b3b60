"""Feature pyramid of HRNet in the layout of the published checkpoints."""

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf
import tf_keras
from official.modeling import hyperparams
from official.vision.modeling.decoders import factory

from htc_tf.errors import ConfigError
from htc_tf.ops.resize import resize_half_pixel, spatial_size
from htc_tf.ops.without_autograph import without_autograph


class PublishedHRFPN(tf_keras.layers.Layer):
  """HRNetV2p (Wang et al. 2020, section 3.3): all branches merged at the finest resolution, pooled.

  All maps are bilinearly upsampled to the finest one, concatenated, and reduced by a 1x1
  convolution. Means over 2x2, 4x4, ... pixels of the result are the other levels; each level has a
  3x3 convolution. Convolutions are biased; there is no norm.

  Input and output: dicts {'2': [batch, h, w, channels], ...} by level. The sides of the outputs are
  rounded down, as published: level l has floor(side of the finest map / 2^(l - its level)) pixels,
  but at least one.

  Args:
    input_levels: levels of the backbone's outputs.
    min_level: finest output level.
    max_level: coarsest output level.
    num_filters: channels of every output.
    **kwargs: arguments of Layer.

  Raises:
    ConfigError: the backbone does not output a level as fine as `min_level`.
  """

  def __init__(
    self,
    input_levels: Iterable[str],
    min_level: int = 2,
    max_level: int = 6,
    num_filters: int = 256,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._input_levels = sorted(int(level) for level in input_levels)
    if not self._input_levels or self._input_levels[0] > min_level:
      raise ConfigError(
        'The HRFPN cannot be built',
        expected=f'a backbone level of {min_level} or finer',
        got=str(self._input_levels),
        likely_cause='a min_level that the backbone does not output',
      )
    self._output_levels = range(min_level, max_level + 1)
    self._num_filters = num_filters
    self._reduction = self._conv(1, 'reduction_conv')
    self._outputs = [self._conv(3, f'fpn_convs/{i}') for i in range(len(self._output_levels))]

  def _conv(self, kernel_size: int, name: str) -> tf_keras.layers.Layer:
    # As published: uniform, with a variance of 1 / inputs.
    return tf_keras.layers.Conv2D(
      self._num_filters, kernel_size, padding='same', kernel_initializer='lecun_uniform', name=name
    )

  @without_autograph
  def call(self, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The pyramid of a batch.

    Args:
      features: level to [batch, ceil(height / 2^level), ceil(width / 2^level), channels] for
        `input_levels`.

    Returns:
      {'2': [batch, h, w, num_filters], ...} from `min_level` to `max_level`.
    """
    finest = self._input_levels[0]
    size = spatial_size(features[str(finest)])
    maps = [features[str(level)] for level in self._input_levels]
    maps = [maps[0], *(resize_half_pixel(x, size) for x in maps[1:])]
    x = self._reduction(tf.concat(maps, -1))
    outputs = {}
    for level in range(finest, self._output_levels[-1] + 1):
      x = x if level == finest else _pooled(x)
      if level in self._output_levels:
        outputs[str(level)] = self._outputs[level - self._output_levels[0]](x)
    return outputs

  @property
  def output_specs(self) -> dict[str, tf.TensorShape]:
    """Shape of each output by level."""
    shape = tf.TensorShape([None, None, None, self._num_filters])
    return {str(level): shape for level in self._output_levels}


def _pooled(x: tf.Tensor) -> tf.Tensor:
  """Means over 2x2 pixels; a last odd row or column is dropped, but a single one is kept.

  Args:
    x: [batch, h, w, channels].

  Returns:
    [batch, max(h // 2, 1), max(w // 2, 1), channels].
  """
  size = spatial_size(x)
  if not isinstance(size, list) or 1 in size:
    missing = tf.maximum(2 - tf.convert_to_tensor(size), 0)  # [2]
    padding = tf.pad(missing[:, tf.newaxis], [[1, 1], [1, 0]])  # [4, 2]: below and on the right
    x = tf.pad(x, padding, 'SYMMETRIC')
  return tf.nn.avg_pool2d(x, 2, 2, 'VALID')


@factory.register_decoder_builder('published_hrfpn')
def build_published_hrfpn(
  input_specs: Mapping[str, tf.TensorShape],
  model_config: hyperparams.Config,
  l2_regularizer: tf_keras.regularizers.Regularizer | None = None,
) -> PublishedHRFPN:
  """The decoder of a configuration, for Model Garden's factory.

  Args:
    input_specs: shapes of the backbone's outputs by level.
    model_config: `configs.model.HTC`; its `decoder.get()` is a `configs.features.PublishedHRFPN`.
    l2_regularizer: unused; the task adds weight decay.

  Raises:
    ConfigError: the backbone does not output a level as fine as `min_level`.
  """
  del l2_regularizer
  return PublishedHRFPN(
    input_specs,
    model_config.min_level,
    model_config.max_level,
    model_config.decoder.get().num_filters,
  )
