"""Tests of training on two replicas: averages, normalization and batch norm."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.modeling.backbones.published_resnet import PublishedResNet
from htc_tf.modeling.layers.batch_norm import NormOptions
from tests import evaluable_run, tiny
from tests.replicated_step import (
  LEARNING_RATE,
  assert_same_update,
  distributed_step,
  per_replica,
  values_of,
)

RULE = {'sampling_rule': 'even'}


def step(task, model, batch):
  """Metrics and weights after a step; the model's weights are restored afterwards."""
  before, metrics = model.get_weights(), task.build_metrics()
  task.train_step(batch, model, tf_keras.optimizers.SGD(LEARNING_RATE), metrics)
  after = model.get_weights()
  model.set_weights(before)
  return values_of(metrics), after


@pytest.fixture(name='tiny_task', scope='module')
def build_tiny_task():
  task = tiny.task(tiny.model(2, cascade=RULE))
  return task, tiny.build(task.task_config.model)


def test_replicas_average_losses_and_gradients(two_replicas, tiny_task):
  """Each replica normalizes its losses by the number of samples in its images only."""
  task, model = tiny_task
  batch = tiny.batch(task.task_config.model)  # Two objects in the first image, one in the second.
  alone = [
    step(task, model, tf.nest.map_structure(lambda x, row=row: x[row : row + 1], batch))
    for row in range(2)
  ]
  values, weights = distributed_step(two_replicas, task, model.get_weights(), batch)
  (first, first_weights), (second, second_weights) = alone
  assert first['stage0_mask_loss'] != second['stage0_mask_loss']
  for name, value in values.items():
    np.testing.assert_allclose(value, (first[name] + second[name]) / 2, rtol=1e-4, err_msg=name)
  mean = [(one + two) / 2 for one, two in zip(first_weights, second_weights)]
  assert_same_update(weights, mean, model.get_weights(), [v.name for v in model.weights])


@pytest.mark.slow
def test_replicas_with_equal_numbers_of_samples_step_like_one_device(two_replicas, tiny_task):
  """With equal numbers, the average over replicas equals the average over the whole batch."""
  task, model = tiny_task
  batch = tf.nest.map_structure(
    lambda x: tf.concat([x[:1], x[:1]], axis=0), tiny.batch(task.task_config.model)
  )
  expected, expected_weights = step(task, model, batch)
  values, weights = distributed_step(two_replicas, task, model.get_weights(), batch)
  for name, value in values.items():
    np.testing.assert_allclose(value, expected[name], rtol=1e-4, err_msg=name)
  assert_same_update(
    weights, expected_weights, model.get_weights(), [v.name for v in model.weights]
  )


def norm_step(backbone, images, share):
  """(features, gradients) of a backbone in training, which updates its running statistics."""
  with tf.GradientTape() as tape:
    features = backbone(images, training=True)
    loss = share * tf.add_n([tf.reduce_mean(x**2) for x in features.values()])
  return features, tape.gradient(loss, backbone.trainable_variables)


@pytest.mark.parametrize('synchronized', [True, False])
def test_synchronized_batch_norm_equals_that_of_the_whole_batch(two_replicas, synchronized):
  images = tf.constant(np.random.default_rng(0).normal(0, 1, [2, 64, 64, 3]), tf.float32)
  images *= tf.constant([1.0, 3.0], shape=[2, 1, 1, 1])

  def build():
    return PublishedResNet(
      18,
      frozen_stages=-1,
      width_multiplier=0.125,
      norm=NormOptions(norm_eval=False, synchronized=synchronized),
    )

  with two_replicas.scope():
    replicated = build()
  whole = build()
  for variable in whole.variables:
    if 'gamma' in variable.name:
      variable.assign(tf.ones_like(variable))
  replicated.set_weights(whole.get_weights())

  @tf.function(autograph=False)
  def run():
    return two_replicas.run(norm_step, args=(replicated, per_replica(two_replicas, images), 0.5))

  features, gradients = tf.nest.map_structure(two_replicas.experimental_local_results, run())
  expected, expected_gradients = norm_step(whole, images, 1.0)
  found = np.concatenate([x.numpy() for x in features['5']])
  scale = np.abs(expected['5']).max()
  if not synchronized:
    assert np.abs(found - expected['5']).max() > 0.1 * scale
    return
  np.testing.assert_allclose(found, expected['5'], rtol=0, atol=1e-4 * scale)
  for variable, replica_gradients, gradient in zip(
    whole.trainable_variables, gradients, expected_gradients
  ):
    np.testing.assert_allclose(
      sum(replica_gradients),
      gradient,
      rtol=0,
      err_msg=variable.name,
      atol=2e-3 * np.abs(gradient).max() + 1e-6,
    )
  for variable, value in zip(whole.variables, replicated.get_weights()):
    np.testing.assert_allclose(value, variable, rtol=1e-3, atol=1e-5, err_msg=variable.name)


def test_two_replicas_evaluate_like_one_device(two_replicas, tmp_path):
  """With three images in batches of two, one replica gets two images and the other one gets one."""
  run = evaluable_run.make(tmp_path)
  evaluation = evaluable_run.evaluate(two_replicas, run.config, run.model_dir, tmp_path)
  assert evaluation.figures == pytest.approx(run.figures, abs=1e-6)
