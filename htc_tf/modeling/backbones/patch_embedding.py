"""First layer of a Swin transformer."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.backbones.swin_block import layer_norm
from htc_tf.ops import windows as window_ops


class PatchEmbedding(tf_keras.layers.Layer):
  """Linear embedding of the patches of an image, with a norm.

  Input [batch, height, width, channels]; output [batch, ceil(height / patch), ceil(width / patch),
  filters]. Images are padded with zeros to whole patches.

  Args:
    filters: number of channels of the output.
    patch: side of a patch in pixels.
    has_norm: whether the embedding is normed.
    **kwargs: arguments of Layer.
  """

  def __init__(self, filters: int, patch: int = 4, has_norm: bool = True, **kwargs: Any):
    super().__init__(**kwargs)
    self._filters = filters
    self._patch = patch
    self.proj = tf_keras.layers.Conv2D(filters, patch, strides=patch, name='proj')
    self.norm = layer_norm(name='norm') if has_norm else None

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Create the variables."""
    with tf.name_scope(self.proj.name):
      self.proj.build(input_shape)
    if self.norm is not None:
      with tf.name_scope(self.norm.name):
        self.norm.build([None, None, None, self._filters])
    super().build(input_shape)

  def call(self, images: tf.Tensor) -> tf.Tensor:
    """The embedding of a batch of images [batch, height, width, channels]."""
    x = self.proj(window_ops.pad_to_multiple(images, self._patch))
    return x if self.norm is None else self.norm(x)
