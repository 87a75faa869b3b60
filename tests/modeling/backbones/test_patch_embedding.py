"""Tests of the embedding of patches."""

import numpy as np
import tensorflow as tf
import tf_keras

from htc_tf.modeling.backbones.patch_embedding import PatchEmbedding


def built():
  tf_keras.utils.set_random_seed(0)
  layer = PatchEmbedding(64)
  layer.build([None, None, None, 3])
  return layer


def test_initial_values_are_those_of_pytorch():
  """Uniform within 1 / sqrt(48): 4x4 pixels of three channels."""
  for variable in (built().proj.kernel, built().proj.bias):
    values, limit = variable.numpy(), 48**-0.5
    assert np.abs(values).max() < limit and np.std(values) > 0.5 * limit
    assert abs(values.mean()) < 0.2 * limit


def test_padding_has_gradients_of_moderate_size():
  """The norm of an embedding of zeros would multiply them by 316, the root of 1 / epsilon."""
  layer = built()
  with tf.GradientTape() as tape:
    weights = tf.random.stateless_normal([64], [1, 2])
    loss = tf.reduce_sum(layer(tf.zeros([1, 4, 4, 3])) * weights)
  gradient = tape.gradient(loss, layer.proj.bias)
  assert 0 < np.abs(gradient).max() < 60
