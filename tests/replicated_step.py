"""A training step of a task on the replicas of a strategy, and the comparison of updates."""

import numpy as np
import tensorflow as tf
import tf_keras

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
