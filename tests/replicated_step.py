"""A training step of a task on the replicas of a strategy, and comparisons of updates."""

import numpy as np
import tensorflow as tf
import tf_keras

from htc_tf.ops import xla
from htc_tf.tasks.htc import HTCTask
from tests import tiny

LEARNING_RATE = 0.1


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


def check_compiled_step(strategy, monkeypatch):
  """Assert that a compiled step gives the same losses and weights.

  An XLA program per replica and bucket has the forward and backward pass, not the update.
  """
  config = tiny.model(1, cascade={'sampling_rule': 'even'})
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
    distributed_step(strategy, task, model.get_weights(), batch) for task in tasks
  ]
  assert set(traced) == {(False, False), (True, True)}
  for name, value in values.items():
    np.testing.assert_allclose(compiled_values[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
  assert_same_update(
    compiled_weights, weights, model.get_weights(), [v.name for v in model.weights]
  )
