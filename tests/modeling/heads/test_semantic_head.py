"""Tests of the semantic head by hand-computed cases.

test_published_layout.py compares it with published values.
"""

import numpy as np
import tensorflow as tf
import tf_keras

from htc_tf.modeling.heads.semantic_head import SemanticHead


def gradients_of(layer, *inputs):
  with tf.GradientTape() as tape:
    outputs = tf.nest.flatten(layer(*inputs))
    total = tf.add_n([tf.reduce_sum(tf.cast(value, tf.float32) ** 2) for value in outputs])
  return tape.gradient(total, layer.trainable_variables)


def test_semantic_head_fuses_all_levels_at_the_fusion_level():
  head = SemanticHead(num_classes=3, levels=('2', '3', '4'), level=3, num_convs=0, num_filters=2)
  sizes = {'2': (10, 14), '3': (5, 7), '4': (3, 4)}
  zeros = {level: tf.zeros([1, *size, 2]) for level, size in sizes.items()}
  logits, embedding = head(zeros)
  assert logits.shape == [1, 5, 7, 3] and embedding.shape == [1, 5, 7, 2]
  for variable in head.variables:
    variable.assign(tf.zeros_like(variable))
  for i, layer in enumerate(head._laterals):
    layer.kernel.assign([[[[10.0**i, 0.0], [0.0, 10.0**i]]]])
  head._embedding.kernel.assign([[[[1.0, 0.0], [0.0, 1.0]]]])
  ramps = {
    level: x + tf.range(1.0, x.shape[2] + 1)[:, tf.newaxis] / x.shape[2]
    for level, x in zeros.items()
  }
  _, fused = head(ramps)
  # With aligned corners, a resized ramp is a ramp between the same first and last values.
  expected = sum(10.0**i * np.linspace(1 / width, 1.0, 7) for i, width in enumerate((14, 7, 4)))
  np.testing.assert_allclose(fused[0, 2, :, 0], expected, rtol=1e-5)


def test_semantic_head_gradients_and_dtype_under_bfloat16():
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  try:
    head = SemanticHead(num_classes=3, levels=('2', '3'), num_convs=1, num_filters=2)
  finally:
    tf_keras.mixed_precision.set_global_policy('float32')
  maps = {'2': tf.ones([1, 4, 4, 2], tf.bfloat16), '3': tf.ones([1, 2, 2, 2], tf.bfloat16)}
  logits, embedding = head(maps)
  assert (logits.dtype, embedding.dtype) == (tf.float32, tf.bfloat16)
  assert all(gradient is not None for gradient in gradients_of(head, maps))
