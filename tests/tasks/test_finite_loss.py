"""Tests of steps that are not finite: they change no weight, and raise an error or are skipped."""

import logging as python_logging

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.modeling import optimization

from htc_tf.errors import TrainingError
from htc_tf.tasks import finite_loss
from htc_tf.tasks.finite_loss import NonFiniteLoss
from htc_tf.tasks.running_statistics import RunningStatistics

NAN, INF = float('nan'), float('inf')
IDS = tf.constant([7, 9], tf.int64)


def react(handler, values, step=3):
  terms = {f'term{number}': tf.constant(value) for number, value in enumerate(values)}

  @tf.function(autograph=False)
  def run():
    handler.react(terms, IDS, tf.constant(step, tf.int64))
    return tf.constant(1.0)

  return run()


@pytest.mark.parametrize('skips', [False, True])
def test_finite_terms_have_no_effect(skips):
  handler = NonFiniteLoss(skips)
  react(handler, [0.5, 1e30])
  assert handler.num_skipped == 0


@pytest.mark.parametrize('value', [NAN, INF, -INF])
def test_the_error_names_term_step_and_image_ids(value):
  with pytest.raises(tf.errors.OpError) as error:
    react(NonFiniteLoss(skips=False), [0.5, value])
  assert (
    'TrainingError: The loss or a gradient of step 3 is not finite, image ids 7, 9. Expected: '
    f'finite loss terms and gradients. Got: term1 = {value}.'
  ) in str(error.value)


def test_skipped_steps_are_counted_and_logged(caplog):
  handler = NonFiniteLoss(skips=True)
  with caplog.at_level(python_logging.ERROR):
    react(handler, [NAN], step=5)
    react(handler, [INF], step=5)  # Another replica.
    react(handler, [INF], step=8)
  assert handler.num_skipped == 2
  assert (
    'Skipped (1 so far): The loss or a gradient of step 5 is not finite, image ids 7, 9'
    in caplog.text
  )
  assert 'Skipped (2 so far): The loss or a gradient of step 8' in caplog.text


def test_too_many_skipped_steps_in_a_row_are_an_error(monkeypatch):
  monkeypatch.setattr(finite_loss, 'MAX_SKIPPED_IN_A_ROW', 2)
  handler = NonFiniteLoss(skips=True)
  for step in (1, 2, 4, 5):
    react(handler, [NAN], step)
  with pytest.raises(tf.errors.OpError, match='TrainingError'):
    react(handler, [NAN], 6)


def test_the_error_is_a_training_error():
  record = NonFiniteLoss(False)._record
  with pytest.raises(TrainingError):
    record(['a'], np.float32([NAN]), np.int64([1]), 0)


def build_optimizer(kind):
  """An optimizer with momentum, so that a step with a gradient of 0 would change the weights."""
  factory = optimization.OptimizerFactory(
    optimization.OptimizationConfig(
      {
        'optimizer': {
          'type': 'sgd_experimental' if kind == 'new' else 'sgd',
          'sgd': {'momentum': 0.9},
          'sgd_experimental': {'momentum': 0.9},
        },
        'ema': {'average_decay': 0.9} if kind == 'averaged' else None,
        'learning_rate': {'type': 'constant', 'constant': {'learning_rate': 0.01}},
      }
    )
  )
  optimizer = factory.build_optimizer(0.01)
  if kind == 'scaled':
    return tf_keras.mixed_precision.LossScaleOptimizer(optimizer)
  return optimizer


class Training:
  """Training of a small model with running statistics; a NaN in the input breaks a step."""

  def __init__(self, kind='legacy', jit_compile=False):
    tf_keras.utils.set_random_seed(1)
    self.model = tf_keras.Sequential(
      [tf_keras.layers.Dense(2), tf_keras.layers.BatchNormalization()]
    )
    self.model.build([None, 2])
    self.optimizer = build_optimizer(kind)
    if kind == 'averaged':
      self.optimizer.shadow_copy(self.model)
    self.run = tf.function(self.step, jit_compile=jit_compile, autograph=False)

  def step(self, value):
    statistics = RunningStatistics(self.model)
    scaled = isinstance(self.optimizer, tf_keras.mixed_precision.LossScaleOptimizer)
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(
        self.model(value * tf.constant([[1.0, 2.0], [3.0, 5.0]]), training=True) ** 3
      )
      minimized = self.optimizer.get_scaled_loss(loss) if scaled else loss
    variables = self.model.trainable_variables
    gradients = tape.gradient(minimized, variables)
    if scaled:
      gradients = self.optimizer.get_unscaled_gradients(gradients)
    finite_loss.create_state(self.optimizer, variables)
    finite = finite_loss.finite_everywhere({'loss': loss})
    finite_loss.apply_if(finite, self.optimizer, gradients, variables)
    statistics.restore_unless(finite)
    return loss

  def values(self):
    """Weights, statistics, loss scale, and the optimizer's state without its number of steps."""
    variables = self.optimizer.variables
    state = [
      variable
      for variable in (variables() if callable(variables) else variables)
      if variable is not self.optimizer.iterations
    ]
    scale = getattr(self.optimizer, 'loss_scale', tf.constant(1.0))
    return [values.numpy() for values in (*self.model.variables, scale, *state)]


@pytest.mark.parametrize('jit_compile', [False, True])
@pytest.mark.parametrize('kind', ['legacy', 'new', 'averaged', 'scaled'])
@pytest.mark.parametrize('broken_step', [0, 2])
def test_a_broken_step_changes_only_the_number_of_steps(kind, broken_step, jit_compile):
  training = Training(kind, jit_compile)
  for step in range(4):
    before = training.values()
    loss = training.run(tf.constant(NAN if step == broken_step else 1.0 + step))
    after = training.values()
    assert int(training.optimizer.iterations) == step + 1
    assert np.isnan(loss) == (step == broken_step)
    # Some optimizers create their state in the first step; then `before` is shorter.
    same = [np.array_equal(old, new) for old, new in zip(before, after)]
    beta, running_mean = same[3:5]
    assert all(same) if step == broken_step else not beta and not running_mean
  assert len(after) > len(training.model.variables)


def test_an_infinite_gradient_of_a_scaled_loss_halves_the_scale():
  """The loss is finite, so that LossScaleOptimizer skips the step."""
  training = Training('scaled')
  training.optimizer.loss_scale  # noqa: B018  Reading it creates its variable.
  training.optimizer._loss_scale._current_loss_scale.assign(2.0**127)
  weights = training.model.get_weights()
  assert np.isfinite(training.run(tf.constant(1.0)))
  for before, after in zip(weights[:4], training.model.get_weights()[:4]):
    np.testing.assert_array_equal(before, after)
  assert float(training.optimizer.loss_scale) == 2.0**126


@pytest.mark.parametrize('broken', [[NAN, 1.0], [1.0, NAN]])
def test_a_nan_on_one_replica_rejects_the_step_on_both(two_replicas, broken):
  with two_replicas.scope():
    training = Training()

  def inputs(values):
    return two_replicas.experimental_distribute_values_from_function(
      lambda context: tf.constant(values[context.replica_id_in_sync_group])
    )

  run = tf.function(lambda values: two_replicas.run(training.step, args=(values,)), autograph=False)
  run(inputs([1.0, 2.0]))
  before = training.values()
  losses = two_replicas.experimental_local_results(run(inputs(broken)))
  assert sum(np.isnan(loss.numpy()) for loss in losses) == 1
  for one, other in zip(before, training.values()):
    np.testing.assert_array_equal(one, other)
  assert training.optimizer.iterations.numpy() == 2
  run(inputs([1.0, 2.0]))
  assert np.abs(training.values()[3] - before[3]).max() > 1e-4
  for variable in training.model.trainable_variables:
    copies = two_replicas.experimental_local_results(variable)
    np.testing.assert_array_equal(copies[0], copies[1])
