"""Tests of the trainer of a run."""

import pytest
import tensorflow as tf
import tf_keras
from official.core import base_task, exp_factory
from official.modeling import optimization

from htc_tf import registry_imports  # noqa: F401
from htc_tf.errors import ConfigError
from htc_tf.ops.without_autograph import without_autograph
from htc_tf.optimization.published_sgd import PublishedSGD
from htc_tf.tasks import finite_loss
from htc_tf.tasks.host_count import HostCount
from htc_tf.training.trainer import Trainer


class _CountingTask(base_task.Task):
  """A task of one dense layer, which counts how often its step is traced."""

  num_traces = 0

  def build_inputs(self, params, input_context=None):
    return tf.data.Dataset.from_tensors((tf.ones([2, 3]), tf.ones([2, 1]))).repeat()

  def build_losses(self, labels, model_outputs, aux_losses=None):
    return tf.reduce_mean((model_outputs - labels) ** 2)

  @without_autograph
  def train_step(self, inputs, model, optimizer, metrics=None):
    self.num_traces += 1
    finite_loss.create_state(optimizer, model.trainable_variables)
    return super().train_step(inputs, model, optimizer, metrics)


@pytest.mark.parametrize('averages', [False, True])
def test_a_step_is_traced_once(averages):
  config = exp_factory.get_exp_config('htc_nuclei')
  task = _CountingTask(config.task)
  model = tf_keras.Sequential([tf_keras.layers.Dense(1)])
  model.build([None, 3])
  optimizer = tf_keras.optimizers.legacy.SGD(0.1, momentum=0.9)
  if averages:
    optimizer = optimization.ExponentialMovingAverage(optimizer, average_decay=0.5)
    optimizer.shadow_copy(model)
  trainer = Trainer(
    config,
    task,
    model,
    optimizer,
    evaluate=False,
    train_dataset=task.build_inputs(None),
  )
  for _ in range(3):
    trainer.train(tf.constant(2))
  assert task.num_traces == 1
  assert int(optimizer.iterations) == 6


def _keys(strategy) -> int:
  """The number of keys that the replicas have exchanged values under so far."""
  launcher = strategy.extended._get_cross_device_ops(tf.zeros([]))._launchers[0]
  table = launcher._collective_keys._instance_key_table
  return max(table[launcher._group_key].values())


def test_several_replicas_make_steps_in_parts_and_few_keys(two_replicas):
  """TensorFlow keeps memory for each key for ever."""
  config = exp_factory.get_exp_config('htc_nuclei')
  with two_replicas.scope():
    task = _CountingTask(config.task)
    model = tf_keras.Sequential([tf_keras.layers.Dense(1)])
    model.build([None, 3])
    optimizer = tf_keras.optimizers.legacy.SGD(0.1, momentum=0.9)
    data = two_replicas.distribute_datasets_from_function(lambda context: task.build_inputs(None))
    trainer = Trainer(config, task, model, optimizer, evaluate=False, train_dataset=data)
    numbers = []
    trainer.on_steps = numbers.append
    trainer.train(tf.constant(25))
    assert numbers == [10, 10, 5]
    keys_of_parts = _keys(two_replicas)
    trainer.train(tf.constant(25))
    keys = _keys(two_replicas) - keys_of_parts
  assert optimizer.iterations.numpy() == 50
  assert trainer.global_step.numpy() == 50
  assert 3 <= keys <= 3 * 5


@pytest.mark.parametrize('trains', [True, False])
def test_only_a_training_refuses_a_checkpoint_with_the_momentum_of_the_other_rule(tmp_path, trains):
  config = exp_factory.get_exp_config('htc_nuclei')
  task = _CountingTask(config.task)

  def build(optimizer, train):
    model = tf_keras.Sequential([tf_keras.layers.Dense(1)])
    model.build([None, 3])
    data = task.build_inputs(None)
    return Trainer(
      config,
      task,
      model,
      optimizer,
      train=train,
      evaluate=not train,
      train_dataset=data if train else None,
      validation_dataset=None if train else data,
    )

  trainer = build(tf_keras.optimizers.legacy.SGD(0.1, momentum=0.9), train=True)
  trainer.train(tf.constant(1))
  prefix = trainer.checkpoint.save(str(tmp_path / 'ckpt'))
  other = build(PublishedSGD(0.1, momentum=0.9), trains)
  if trains:
    with pytest.raises(ConfigError, match='has the momentum of another optimizer'):
      other.restore(prefix)
    assert int(other.optimizer.iterations) == 0
  else:
    other.restore(prefix)
    assert int(other.optimizer.iterations) == 1


def _trainer(optimizer):
  config = exp_factory.get_exp_config('htc_nuclei')
  task = _CountingTask(config.task)
  model = tf_keras.Sequential([tf_keras.layers.Dense(1)])
  model.build([None, 3])
  data = task.build_inputs(None)
  return Trainer(config, task, model, optimizer, evaluate=False, train_dataset=data)


@pytest.mark.parametrize('num_steps,expected', [(0, 0.5), (1, 0.5), (2, 0.375), (4, 0.125)])
def test_the_reported_learning_rate_is_that_of_the_last_step(num_steps, expected):
  """Model Garden reports that of the next step, which is 0 at the end of such a schedule."""
  rate = tf_keras.optimizers.schedules.PolynomialDecay(0.5, 4, end_learning_rate=0.0)
  trainer = _trainer(tf_keras.optimizers.legacy.SGD(rate))
  trainer.optimizer.iterations.assign(num_steps)
  assert float(trainer.train_loop_end()['learning_rate']) == expected


def test_a_constant_learning_rate_is_reported_as_it_is():
  trainer = _trainer(tf_keras.optimizers.legacy.SGD(0.25))
  assert float(trainer.train_loop_end()['learning_rate']) == 0.25


def test_a_report_has_the_present_value_of_a_count_in_python():
  trainer, counted = _trainer(tf_keras.optimizers.legacy.SGD(0.25)), []
  trainer.train_metrics.append(HostCount('skipped_steps', lambda: len(counted)))
  for expected in range(3):
    assert float(trainer.train_loop_end()['skipped_steps']) == expected
    counted.append(None)


@pytest.mark.parametrize('num_replicas', [1, 2])
def test_a_report_has_the_means_since_the_last_one(num_replicas, two_replicas):
  strategy = two_replicas if num_replicas == 2 else tf.distribute.get_strategy()
  with strategy.scope():
    trainer = _trainer(tf_keras.optimizers.legacy.SGD(0.25))

  @tf.function
  def update(first):
    def run():
      replica = tf.distribute.get_replica_context().replica_id_in_sync_group
      trainer.train_loss.update_state(first + tf.cast(replica, tf.float32))

    strategy.run(run)

  for first in (1.0, 5.0, 9.0):
    with strategy.scope():
      update(tf.constant(first))
      update(tf.constant(first + 1.0))
      logs = trainer.train_loop_end()
    assert float(logs['training_loss']) == first + num_replicas / 2
  assert trainer._take_means.experimental_get_tracing_count() == 1
