"""Tests of frozen batch norm."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.layers.batch_norm import BatchNorm


@pytest.mark.parametrize('norm_eval', [True, False])
def test_training_uses_and_updates_statistics_unless_they_are_frozen(norm_eval):
  layer = BatchNorm(norm_eval=norm_eval, momentum=0.9, epsilon=0.0)
  x = tf.constant([1.0, 3.0], shape=[2, 1, 1, 1])  # mean 2, variance 1
  layer.build(x.shape)
  actual = np.ravel(layer(x, training=True))
  np.testing.assert_allclose(actual, [1, 3] if norm_eval else [-1, 1], rtol=1e-5)
  np.testing.assert_allclose(layer.moving_mean, [0.0 if norm_eval else 0.2], rtol=1e-5)
  assert [weight.name for weight in layer.trainable_weights] == ['gamma:0', 'beta:0']


def torch_steps(batches, momentum):
  """Running mean and variance of PyTorch, whose momentum is the share of the new batch."""
  mean, variance = np.zeros(2), np.ones(2)
  for rows in batches:
    mean = momentum * mean + (1 - momentum) * rows.mean(0)
    variance = momentum * variance + (1 - momentum) * rows.var(0, ddof=1)
  return mean, variance


@pytest.mark.parametrize('values', [{}, {'fused': False}, {'synchronized': True}])
@pytest.mark.parametrize('compiled', [False, True])
def test_the_running_variance_is_unbiased(values, compiled):
  layer = BatchNorm(momentum=0.75, **values)
  batches = np.random.default_rng(0).normal(3, 2, [3, 2, 1, 2, 2]).astype(np.float32)
  layer.build(batches[0].shape)
  call = tf.function(lambda x: layer(x, training=True), autograph=False)
  for batch in batches:
    rows = np.reshape(batch, [-1, 2])
    normed = np.reshape(call(batch) if compiled else layer(batch, training=True), [-1, 2])
    np.testing.assert_allclose(
      normed, (rows - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-3), atol=1e-4
    )
  mean, variance = torch_steps(np.reshape(batches, [3, -1, 2]), 0.75)
  np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-5)
  np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-5)


def test_rows_that_a_mask_leaves_out_do_not_count_in_the_running_variance():
  layer = BatchNorm(momentum=0.75, fused=False)
  batch = np.random.default_rng(0).normal(3, 2, [4, 2, 2, 2]).astype(np.float32)
  kept = np.array([True, False, True, False])
  layer(batch, training=True, mask=kept[:, None, None])
  _, variance = torch_steps([np.reshape(batch[kept], [-1, 2])], 0.75)
  np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-5)


def test_replicas_share_an_unbiased_variance(two_replicas):
  batch = np.random.default_rng(0).normal(3, 2, [4, 1, 2, 2]).astype(np.float32)
  with two_replicas.scope():
    layer = BatchNorm(momentum=0.75, synchronized=True)
    layer.build(batch.shape)

  @tf.function(autograph=False)
  def step():
    two_replicas.run(lambda x: layer(x, training=True), (shares,))

  shares = two_replicas.experimental_distribute_values_from_function(
    lambda context: tf.constant(batch[2 * context.replica_id_in_sync_group :][:2])
  )
  step()
  _, variance = torch_steps([np.reshape(batch, [-1, 2])], 0.75)
  np.testing.assert_allclose(layer.moving_variance.read_value(), variance, rtol=1e-5)


def shares_of(two_replicas, batch):
  """Half of a batch for each replica."""
  size = len(batch) // 2
  return two_replicas.experimental_distribute_values_from_function(
    lambda context: tf.constant(batch[size * context.replica_id_in_sync_group :][:size])
  )


@pytest.mark.parametrize('is_masked', [False, True])
@pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
def test_replicas_normalize_as_one_batch_of_all_and_pass_its_gradient(
  two_replicas, is_masked, dtype
):
  generator = np.random.default_rng(1)
  batch = generator.normal(3, 2, [8, 3, 2, 2]).astype(np.float32)
  weights = generator.normal(0, 1, batch.shape).astype(np.float32)
  kept = np.array([True, False, True, True, False, True, False, True])[:, None, None]
  policy = 'float32' if dtype == 'float32' else f'mixed_{dtype}'
  with two_replicas.scope():
    layer = BatchNorm(synchronized=True, dtype=policy)
    layer.build(batch.shape)

  def gradient(x, y, mask):
    with tf.GradientTape() as tape:
      tape.watch(x)
      normed = layer(x, training=True, mask=mask if is_masked else None)
      loss = tf.reduce_sum(tf.cast(normed, tf.float32) * y)
    return normed, tape.gradient(loss, x)

  @tf.function(autograph=False)
  def step(*shares):
    return two_replicas.run(gradient, shares)

  pairs = step(*(shares_of(two_replicas, value) for value in (batch, weights, kept)))
  normed, slopes = (np.concatenate([part.numpy() for part in pair.values]) for pair in pairs)

  rows = tf.constant(batch)
  with tf.GradientTape() as tape:
    tape.watch(rows)
    counted = tf.boolean_mask(rows, kept[:, 0, 0]) if is_masked else rows
    mean, variance = tf.nn.moments(counted, [0, 1, 2])
    expected = (rows - mean) / tf.sqrt(variance + 1e-3)
    loss = tf.reduce_sum(expected * weights)
  error = 1e-5 if dtype == 'float32' else 0.05
  np.testing.assert_allclose(normed.astype(np.float32), expected, atol=error)
  np.testing.assert_allclose(slopes, tape.gradient(loss, rows), atol=error)


def test_sums_of_16_bits_do_not_overflow(two_replicas):
  with two_replicas.scope():
    layer = BatchNorm(synchronized=True, dtype='mixed_float16')
    layer.build([2, 16, 16, 1])
  batch = np.full([2, 16, 16, 1], 300, np.float16)  # The largest number is 65504.
  batch[:, ::2] = 100

  @tf.function(autograph=False)
  def step(shares):
    return two_replicas.run(lambda x: layer(x, training=True), (shares,))

  normed = np.concatenate([part.numpy() for part in step(shares_of(two_replicas, batch)).values])
  np.testing.assert_allclose(normed, (batch - 200.0) / 100, atol=0.01)


def test_replicas_exchange_sums_once_and_the_count_once(two_replicas):
  with two_replicas.scope():
    layer = BatchNorm(synchronized=True)
    layer.build([4, 1, 2, 2])

  @tf.function(autograph=False)
  def step(shares):
    return two_replicas.run(lambda x: layer(x, training=True), (shares,))

  graph = step.get_concrete_function(
    shares_of(two_replicas, np.ones([4, 1, 2, 2], np.float32))
  ).graph
  reductions = [node for node in graph.get_operations() if node.type.startswith('CollectiveReduce')]
  assert len(reductions) == 2 * 2


def test_a_single_value_leaves_the_running_variance_finite():
  layer = BatchNorm(momentum=0.75, fused=False)
  layer(np.ones([1, 1, 1, 2], np.float32), training=True)
  np.testing.assert_allclose(layer.moving_variance, [0.75, 0.75], rtol=1e-6)
