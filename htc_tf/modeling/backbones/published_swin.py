"""Swin transformer in the layout of the published checkpoints."""

import contextlib
from typing import Any

import tensorflow as tf
import tf_keras
from official.modeling import hyperparams
from official.vision.modeling.backbones import factory

from htc_tf.modeling.backbones.composite_swin import CompositeSwin
from htc_tf.modeling.backbones.patch_embedding import PatchEmbedding
from htc_tf.modeling.backbones.swin_block import SwinOptions
from htc_tf.modeling.backbones.swin_trunk import SwinSize, SwinTraining, SwinTrunk
from htc_tf.modeling.layers.frozen_variables import creating_frozen

_ANY_IMAGES = tf_keras.layers.InputSpec(shape=[None, None, None, 3])


class PublishedSwin(tf_keras.Model):
  """Swin transformer (Liu et al. 2021) whose four stages have a normed output each.

  Input [batch, height, width, channels] of any size; output a dict {'2': C2, ..., '5': C5} of
  [batch, ceil(height / 2^level), ceil(width / 2^level), embed_dim * 2^(level - 2)].

  Args:
    embedding: layer from images to the embedding of their patches of 4x4 pixels.
    trunk: the stages.
    input_specs: `InputSpec` of the images.
    **kwargs: arguments of Model.
  """

  def __init__(
    self,
    embedding: PatchEmbedding,
    trunk: SwinTrunk,
    input_specs: tf_keras.layers.InputSpec = _ANY_IMAGES,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._image_shape = tf.TensorShape(input_specs.shape)
    self.patch_embed = embedding
    self.trunk = trunk
    self.built = True

  def call(self, images: tf.Tensor, training: bool | None = None) -> dict[str, tf.Tensor]:
    """Feature maps of a batch.

    Args:
      images: [batch, height, width, channels], normalized by `data.preprocess`; padding is 0.
      training: whether branches are dropped.

    Returns:
      {'2': C2, ..., '5': C5}, with the shapes given in the class docstring.
    """
    return self.trunk(self.patch_embed(images), training=training)

  @property
  def output_specs(self) -> dict[str, tf.TensorShape]:
    """Shape of each output by level."""
    return self.trunk.output_specs(self._image_shape)


@factory.register_backbone_builder('published_swin')
def build_published_swin(
  input_specs: tf_keras.layers.InputSpec,
  backbone_config: hyperparams.Config,
  norm_activation_config: hyperparams.Config,
  l2_regularizer: tf_keras.regularizers.Regularizer | None = None,
) -> PublishedSwin | CompositeSwin:
  """The backbone of a configuration, for Model Garden's factory.

  Args:
    input_specs: shape of the images, [batch, height, width, channels].
    backbone_config: configuration whose `get()` is a `configs.features.PublishedSwin`.
    norm_activation_config: unused; the backbone has no batch norm.
    l2_regularizer: unused; the task adds weight decay.
  """
  del norm_activation_config, l2_regularizer
  config = backbone_config.get()
  embedding = PatchEmbedding(config.embed_dim, has_norm=config.patch_norm, name='patch_embed')
  embedding.trainable = config.frozen_stages < 0
  creating = contextlib.nullcontext() if embedding.trainable else creating_frozen()
  with creating, tf.name_scope('patch_embed'):
    embedding.build(input_specs.shape)
  if config.composite:
    trunks = [_built_trunk(config, f'cb_modules/{index}') for index in range(2)]
    return CompositeSwin(embedding, trunks, config.embed_dim, input_specs)
  return PublishedSwin(embedding, _built_trunk(config, 'trunk'), input_specs)


def _built_trunk(config: hyperparams.Config, name: str) -> SwinTrunk:
  trunk = SwinTrunk(
    SwinSize(config.embed_dim, config.depths, config.num_heads),
    SwinOptions(config.window_size, config.mlp_ratio, config.qkv_bias),
    SwinTraining(config.drop_path_rate, config.frozen_stages, config.recompute),
    name=name,
  )
  with tf.name_scope(name):
    trunk.build([None, None, None, config.embed_dim])
  return trunk
