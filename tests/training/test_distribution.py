"""Tests of training on two replicas: averages, normalization and batch norm."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.common import distribute_utils

from htc_tf.modeling.backbones.published_resnet import PublishedResNet
from htc_tf.modeling.layers.batch_norm import NormOptions
from htc_tf.ops import xla
from htc_tf.tasks.htc import HTCTask
from tests import evaluable_run, tiny

LEARNING_RATE = 0.1
RULE = {'sampling_rule': 'even'}


def per_replica(strategy, batch):
  """The batch as distributed values, one row per replica."""
  return tf.nest.map_structure(
    lambda values: strategy.experimental_distribute_values_from_function(
      lambda context: values[context.replica_id_in_sync_group :][:1]
    ),
    batch,
  )


def values_of(metrics):
  return {metric.name: float(metric.result()) for metric in metrics}


def step(task, model, batch):
  """Metrics and weights after a step; the model's weights are restored afterwards."""
  before, metrics = model.get_weights(), task.build_metrics()
  task.train_step(batch, model, tf_keras.optimizers.SGD(LEARNING_RATE), metrics)
  after = model.get_weights()
  model.set_weights(before)
  return values_of(metrics), after


def distributed_step(strategy, task, weights, batch):
  """Metrics and weights after a step; as in training, the image size is unknown in the graph."""
  with strategy.scope():
    model = task.build_model()
    optimizer = tf_keras.optimizers.SGD(LEARNING_RATE)
    metrics = task.build_metrics()
  model.set_weights(weights)

  def run(images, labels):
    images = tf.compat.v1.placeholder_with_default(images, [1, None, None, 3])
    for key in ('gt_masks', 'gt_semantic'):
      unknown = [*labels[key].shape[:-2], None, None]
      labels[key] = tf.compat.v1.placeholder_with_default(labels[key], unknown)
    task.train_step((images, labels), model, optimizer, metrics)

  tf.function(lambda: strategy.run(run, args=per_replica(strategy, batch)), autograph=False)()
  return values_of(metrics), model.get_weights()


def assert_same_update(actual, expected, before, names):
  for name, old, new, expected_new in zip(names, before, actual, expected):
    largest = np.abs(expected_new - old).max()
    np.testing.assert_allclose(
      new - old, expected_new - old, rtol=0, atol=1e-3 * largest + 1e-6, err_msg=name
    )


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


@pytest.fixture(name='mirrored', params=['mirrored', 'two_replicas'])
def _mirrored(request):
  """A mirrored strategy: that of Model Garden on one device, and one with two replicas."""
  if request.param == 'mirrored':
    return distribute_utils.get_distribution_strategy('mirrored')
  return request.getfixturevalue('two_replicas')


def test_a_compiled_step_gives_the_same_losses_and_weights(mirrored, monkeypatch):
  """The forward and backward pass are an XLA program per replica and bucket, without the update."""
  config = tiny.model(1, cascade=RULE)
  batch = tiny.batch(config)
  data = tiny.data_in_buckets((tiny.SIZE, 2 * tiny.SIZE), (tiny.SIZE, tiny.SIZE))
  tasks = [
    tiny.task(config, jit_compile=jit_compile, train_data=data) for jit_compile in (False, True)
  ]
  traced, build_losses = [], HTCTask.build_losses

  def observed(self, *args):
    traced.append((self.task_config.jit_compile, xla.compiling()))
    return build_losses(self, *args)

  monkeypatch.setattr(HTCTask, 'build_losses', observed)
  model = tiny.build(config)
  (values, weights), (compiled_values, compiled_weights) = [
    distributed_step(mirrored, task, model.get_weights(), batch) for task in tasks
  ]
  assert set(traced) == {(False, False), (True, True)}
  for name, value in values.items():
    np.testing.assert_allclose(compiled_values[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
  assert_same_update(
    compiled_weights, weights, model.get_weights(), [v.name for v in model.weights]
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
