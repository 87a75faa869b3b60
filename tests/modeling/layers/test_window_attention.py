"""Tests of the attention within windows against loops in NumPy."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.window_attention import WindowAttention, relative_position_index


def test_the_index_is_that_of_the_formula():
  index = relative_position_index(3)
  assert index.shape == (9, 9)
  for query in range(9):
    for key in range(9):
      vertical, horizontal = query // 3 - key // 3, query % 3 - key % 3
      assert index[query, key] == (vertical + 2) * 5 + horizontal + 2
  assert sorted(set(index.ravel())) == list(range(25))


def random_attention(**values):
  layer = WindowAttention(6, 2, 2, **values)
  layer.build([None, 4, 6])
  rng = np.random.default_rng(0)
  for variable in layer.variables:
    variable.assign(rng.normal(size=variable.shape))
  return layer


def reference(layer, windows, mask):
  """Attention by loops over windows and heads."""
  kernel, bias = (variable.numpy() for variable in layer.qkv.variables)
  qkv = windows @ kernel + bias  # [num, 4, 18]
  index = relative_position_index(2)
  outputs = np.zeros_like(windows)
  for number, rows in enumerate(qkv):
    for head in range(2):
      query, key, value = (rows[:, part + 3 * head : part + 3 * head + 3] for part in (0, 6, 12))
      logits = query @ key.T / np.sqrt(3) + layer.table.numpy()[index, head]
      if mask is not None:
        logits += mask[number % len(mask)]
      probs = np.exp(logits - logits.max(1, keepdims=True))
      outputs[number, :, 3 * head : 3 * head + 3] = probs / probs.sum(1, keepdims=True) @ value
  kernel, bias = (variable.numpy() for variable in layer.proj.variables)
  return outputs @ kernel + bias


@pytest.mark.parametrize('has_mask', [False, True])
def test_attention_equals_that_of_loops(has_mask):
  rng = np.random.default_rng(1)
  windows = rng.normal(size=[6, 4, 6]).astype(np.float32)
  mask = np.where(rng.random([3, 4, 4]) < 0.5, -100.0, 0.0).astype(np.float32)
  mask = mask if has_mask else None
  layer = random_attention()
  np.testing.assert_allclose(
    layer(windows, mask), reference(layer, windows, mask), rtol=1e-4, atol=1e-4
  )


def test_queries_keys_and_values_may_have_no_bias():
  assert len(random_attention(qkv_bias=False).variables) == 4
  assert len(random_attention().variables) == 5


def test_logits_and_probabilities_are_float32_under_mixed_precision():
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  try:
    layer = random_attention()
  finally:
    tf_keras.mixed_precision.set_global_policy('float32')
  signature = tf.TensorSpec([None, 4, 6], tf.bfloat16)
  graph = tf.function(layer, autograph=False).get_concrete_function(signature).graph
  (softmax,) = (op for op in graph.get_operations() if op.type == 'Softmax')
  assert softmax.outputs[0].dtype == tf.float32
  products = [op for op in graph.get_operations() if op.type == 'BatchMatMulV2']
  assert [op.outputs[0].dtype for op in products] == [tf.float32, tf.bfloat16]
  assert graph.structured_outputs.dtype == tf.bfloat16
