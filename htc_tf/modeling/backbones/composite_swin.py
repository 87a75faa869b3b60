"""Composite of two Swin transformers (CBNetV2, Liang et al. 2021)."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.backbones.patch_embedding import PatchEmbedding
from htc_tf.modeling.backbones.swin_trunk import LEVELS, SwinTrunk
from htc_tf.ops.resize import resize_nearest, spatial_size

_ANY_IMAGES = tf_keras.layers.InputSpec(shape=[None, None, None, 3])


class CompositeSwin(tf_keras.Model):
  """Two transformers of one size: an assisting and a lead one, which read one patch embedding.

  Each stage of the lead one also gets the assisting one's normed outputs of its level and of all
  deeper levels (dense higher-level composition, section 3.2 of Liang et al. 2021): they pass
  through 1x1 convolutions, except that of the same level, are resized to the size of the level, and
  are added to the input of the stage.

  Input and output are those of `PublishedSwin`; the output is that of the lead transformer.

  Args:
    embedding: layer from images to the embedding of their patches of 4x4 pixels.
    trunks: the assisting and the lead transformer.
    embed_dim: number of channels of the embedding.
    input_specs: `InputSpec` of the images.
    **kwargs: arguments of Model.
  """

  def __init__(
    self,
    embedding: PatchEmbedding,
    trunks: Sequence[SwinTrunk],
    embed_dim: int,
    input_specs: tf_keras.layers.InputSpec = _ANY_IMAGES,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._image_shape = tf.TensorShape(input_specs.shape)
    self.shared_embed = embedding
    self.trunks = list(trunks)
    # links[level][index] leads from level + index + 1 to level. As published, they start as 0.
    self.links = [
      [
        tf_keras.layers.Conv2D(
          embed_dim * 2**level, 1, kernel_initializer='zeros', name=f'cb_linears/{level}/{deeper}'
        )
        for deeper in range(1, len(LEVELS) - level)
      ]
      for level in range(len(LEVELS))
    ]
    for level, layers in enumerate(self.links):
      for deeper, link in enumerate(layers, 1):
        with tf.name_scope(link.name):
          link.build([None, None, None, embed_dim * 2 ** (level + deeper)])
    self.built = True

  def call(self, images: tf.Tensor, training: bool | None = None) -> dict[str, tf.Tensor]:
    """Feature maps of the lead transformer.

    Args:
      images: [batch, height, width, channels], normalized by `data.preprocess`; padding is 0.
      training: whether branches are dropped.

    Returns:
      {'2': C2, ..., '5': C5}, as in `PublishedSwin`.
    """
    return self.maps_of_both(images, training)[1]

  def maps_of_both(
    self, images: tf.Tensor, training: bool | None = None
  ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """Feature maps of the assisting and of the lead transformer; arguments as for `call`."""
    embedding = self.shared_embed(tf.cast(images, self.compute_dtype))
    assisting, lead = self.trunks
    maps = assisting(embedding, training=training)
    added = [self._added(maps, level) for level in range(len(LEVELS))]
    return maps, lead(embedding, added, training=training)

  def _added(self, maps: Mapping[str, tf.Tensor], level: int) -> tf.Tensor:
    """What a stage of the lead transformer gets: [batch, height, width, channels] of its level."""
    total = maps[LEVELS[level]]
    size = spatial_size(total)
    for link, deeper in zip(self.links[level], LEVELS[level + 1 :]):
      total += resize_nearest(link(maps[deeper]), size)
    return total

  @property
  def output_specs(self) -> dict[str, tf.TensorShape]:
    """Shape of each output by level."""
    return self.trunks[1].output_specs(self._image_shape)
