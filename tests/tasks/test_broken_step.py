"""Tests of training steps on an image whose loss is not finite."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests import tiny

BROKEN_ID = 42


@pytest.fixture(autouse=True)
def float32_afterwards():
  yield
  tf_keras.mixed_precision.set_global_policy('float32')


def make_task(batch, **values):
  """(task, model) with the padded size of the batch as bucket, so that XLA can compile the step."""
  task = tiny.task(tiny.model(1), train_data=tiny.data_in_buckets(batch[0].shape[1:3]), **values)
  return task, tiny.build(task.task_config.model)


def good_and_broken_batch():
  """A batch of two images, and the same batch with a NaN in a box of the second image."""
  images, labels = tiny.batch(tiny.model(1))
  labels = {**labels, 'source_id': tf.constant([7, BROKEN_ID], tf.int64)}
  boxes = labels['gt_boxes'].numpy()
  boxes[1, 0] = np.nan
  return (images, labels), (images, {**labels, 'gt_boxes': tf.constant(boxes)})


def step_function(task, model, optimizer, metrics=None):
  return tf.function(
    lambda *batch: task.train_step(batch, model, optimizer, metrics)[task.loss], autograph=False
  )


@pytest.mark.parametrize('jit_compile', [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_broken_step_raises_and_leaves_the_model_unchanged(jit_compile):
  good, broken = good_and_broken_batch()
  task, model = make_task(good, jit_compile=jit_compile)
  run = step_function(task, model, tf_keras.optimizers.legacy.SGD(0.01, momentum=0.9))
  assert run(*good) > 0
  before = model.get_weights()
  with pytest.raises(tf.errors.OpError) as error:
    run(*broken)
  message = str(error.value)
  stated = f'The loss or a gradient of step 2 is not finite, image ids 7, {BROKEN_ID}. Expected'
  assert f'TrainingError: {stated}' in message
  assert 'Got: stage0_box_loss = nan, total_loss = nan, gradient_norm = nan' in message
  for old, new in zip(before, model.get_weights()):
    np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize('policy', ['float32', 'mixed_float16'])
def test_a_skipped_step_leaves_weights_metrics_and_loss_scale_unchanged(policy):
  good, broken = good_and_broken_batch()
  tf_keras.mixed_precision.set_global_policy(policy)
  task, model = make_task(good, skip_non_finite_steps=True)
  optimizer = tf_keras.optimizers.legacy.SGD(0.01)
  if policy == 'mixed_float16':
    optimizer = tf_keras.mixed_precision.LossScaleOptimizer(optimizer, initial_scale=8.0)
  metrics = task.build_metrics()
  run = step_function(task, model, optimizer, metrics)
  loss = run(*good)
  weights = model.get_weights()
  assert run(*broken) == 0
  for old, new in zip(weights, model.get_weights()):
    np.testing.assert_array_equal(old, new)
  values = {metric.name: float(metric.result()) for metric in metrics}
  assert values['skipped_steps'] == 1
  np.testing.assert_allclose(values['total_loss'], loss, rtol=1e-6)
  assert np.isfinite(run(*good)) and run(*good) > 0
  assert optimizer.iterations == 4
  if policy == 'mixed_float16':
    assert optimizer.loss_scale == 8.0


@pytest.mark.parametrize('skips', [pytest.param(False, marks=pytest.mark.slow), True])
def test_with_two_replicas_only_the_broken_replica_reports_its_image_ids(
  two_replicas, skips, caplog
):
  good, broken = good_and_broken_batch()
  with two_replicas.scope():
    task, model = make_task(good, skip_non_finite_steps=skips)
    optimizer = tf_keras.optimizers.legacy.SGD(0.01, momentum=0.9)
    metrics = task.build_metrics()

  @tf.function(autograph=False)
  def run(batch):
    return two_replicas.run(task.train_step, args=(batch, model, optimizer, metrics))[task.loss]

  def split(batch):
    return tf.nest.map_structure(
      lambda values: two_replicas.experimental_distribute_values_from_function(
        lambda context: values[context.replica_id_in_sync_group :][:1]
      ),
      batch,
    )

  run(split(good))
  before = model.get_weights()
  if skips:
    run(split(broken))
    assert 'The loss or a gradient of step 2 is not finite, image ids 42.' in caplog.text
    assert {metric.name: float(metric.result()) for metric in metrics}['skipped_steps'] == 1
  else:
    with pytest.raises(
      tf.errors.OpError,
      match=r'The loss or a gradient of step 2 is not finite, image ids 42. Expected',
    ):
      run(split(broken))
  for old, new in zip(before, model.get_weights()):
    np.testing.assert_array_equal(old, new)
