"""Recursive feature pyramid."""

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf
import tf_keras
from official.modeling import hyperparams
from official.vision.modeling.decoders import factory

from htc_tf.modeling.backbones.feedback_resnet import FeedbackResNet
from htc_tf.modeling.backbones.published_resnet import configured_arguments
from htc_tf.modeling.decoders.published_fpn import PublishedFPN
from htc_tf.modeling.layers.atrous_pooling import AtrousPooling

_FEEDBACK_LEVELS = ('3', '4', '5')


class RecursiveFPN(PublishedFPN):
  """FPN that runs twice, with feedback to a second backbone (DetectoRS 2020, section 3).

  The pyramid of the first backbone goes through `AtrousPooling` into a second backbone, which reads
  the images again. The same FPN makes a second pyramid of its outputs. Both pyramids are blended at
  each position by a weight between 0 and 1, computed from the second one (section 3.3).

  Input and output are those of `PublishedFPN`, and the images.

  Args:
    feedback_backbone: the second backbone, for features of 4 * `aspp_filters` channels.
    aspp_filters: channels of each branch of the pooling.
    input_levels: levels of the backbone's outputs.
    **kwargs: arguments of `PublishedFPN`.

  Raises:
    ConfigError: the backbone does not output `min_level`.
  """

  reads_images = True  # See `part_interfaces.ImageReadingDecoder`.

  def __init__(
    self,
    feedback_backbone: FeedbackResNet,
    aspp_filters: int,
    input_levels: Iterable[str],
    **kwargs: Any,
  ):
    super().__init__(input_levels, **kwargs)
    self._feedback_backbone = feedback_backbone
    self._pooling = AtrousPooling(aspp_filters, name='rfp_aspp')
    self._blend = tf_keras.layers.Conv2D(1, 1, kernel_initializer='zeros', name='rfp_weight')

  def call(  # type: ignore[override]  # It reads the images as well.
    self, features: Mapping[str, tf.Tensor], images: tf.Tensor, training: bool | None = None
  ) -> dict[str, tf.Tensor]:
    """The pyramid of a batch.

    Args:
      features: outputs of the first backbone, as for `PublishedFPN`.
      images: [batch, height, width, channels], the input of the first backbone.
      training: whether batch norms without `norm_eval` use the statistics of the batch.

    Returns:
      {'2': [batch, h, w, num_filters], ...} from `min_level` to `max_level`.
    """
    first = super().call(features)
    feedback = {level: self._pooling(first[level]) for level in _FEEDBACK_LEVELS}
    again = self._feedback_backbone(images, feedback, training=training)
    second = super().call(again)
    return {level: self._blended(first[level], second[level]) for level in second}

  def _blended(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    weight = tf.sigmoid(self._blend(second))  # [batch, h, w, 1]
    return weight * second + (1.0 - weight) * first


@factory.register_decoder_builder('recursive_fpn')
def build_recursive_fpn(
  input_specs: Mapping[str, tf.TensorShape],
  model_config: hyperparams.Config,
  l2_regularizer: tf_keras.regularizers.Regularizer | None = None,
) -> RecursiveFPN:
  """The decoder of a configuration, for Model Garden's factory.

  Args:
    input_specs: shapes of the backbone's outputs by level.
    model_config: `configs.model.HTC`; its `decoder.get()` is a `configs.features.RecursiveFPN`,
      and its `backbone.get()` a `configs.features.PublishedResNet`.
    l2_regularizer: unused; the task adds weight decay.

  Raises:
    ConfigError: the backbone does not output `min_level`.
  """
  del l2_regularizer
  config = model_config.decoder.get()
  images = tf_keras.layers.InputSpec(shape=[None, None, None, model_config.input_size[2]])
  feedback_backbone = FeedbackResNet(
    4 * config.aspp_filters,
    input_specs=images,
    name='rfp_modules/0',
    **configured_arguments(model_config.backbone.get(), model_config.norm_activation),
  )
  return RecursiveFPN(
    feedback_backbone,
    config.aspp_filters,
    input_specs,
    min_level=model_config.min_level,
    max_level=model_config.max_level,
    num_filters=config.num_filters,
    norm_groups=config.norm_groups,
  )
