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
    # The initial values of PyTorch: uniform within 1 / sqrt(number of inputs of an output).
    initial = tf_keras.initializers.VarianceScaling(1 / 3, 'fan_in', 'uniform')
    self.proj = tf_keras.layers.Conv2D(
      filters, patch, strides=patch, kernel_initializer=initial, name='proj'
    )
    self.norm = layer_norm(name='norm') if has_norm else None

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Create the variables."""
    # The embedding of padding is the bias. With equal biases, its norm would divide by the root of
    # epsilon, and gradients would exceed the range of float16.
    limit = (self._patch**2 * tf.TensorShape(input_shape)[-1]) ** -0.5
    self.proj.bias_initializer = tf_keras.initializers.RandomUniform(-limit, limit)
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
