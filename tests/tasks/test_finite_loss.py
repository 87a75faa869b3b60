"""A step that is not finite: stops the run and says where, or is skipped, and changes nothing."""

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


def react(reaction, values, step=3):
  terms = {f'term{number}': tf.constant(value) for number, value in enumerate(values)}

  @tf.function
  def run():
    reaction.react(terms, IDS, tf.constant(step, tf.int64))
    return tf.constant(1.0)

  return run()


@pytest.mark.parametrize('skips', [False, True])
def test_finite_terms_pass(skips):
  reaction = NonFiniteLoss(skips)
  react(reaction, [0.5, 1e30])
  assert reaction.num_skipped == 0


@pytest.mark.parametrize('value', [NAN, INF, -INF])
def test_the_error_names_term_step_and_pictures(value):
  with pytest.raises(tf.errors.OpError) as error:
    react(NonFiniteLoss(skips=False), [0.5, value])
  assert (
    'TrainingError: step 3 is not finite, image ids 7, 9. Expected: finite loss terms and '
    f'gradients. Got: term1 = {value}.'
  ) in str(error.value)


def test_skipped_steps_are_counted_and_named_in_the_log(caplog):
  reaction = NonFiniteLoss(skips=True)
  with caplog.at_level(python_logging.ERROR):
    react(reaction, [NAN], step=5)
    react(reaction, [INF], step=5)  # Another replica.
    react(reaction, [INF], step=8)
  assert reaction.num_skipped == 2
  assert 'Skipped (1 so far): step 5 is not finite, image ids 7, 9' in caplog.text
  assert 'Skipped (2 so far): step 8' in caplog.text


def test_too_many_skipped_in_a_row_stop(monkeypatch):
  monkeypatch.setattr(finite_loss, 'MAX_SKIPPED_IN_A_ROW', 2)
  reaction = NonFiniteLoss(skips=True)
  for step in (1, 2, 4, 5):
    react(reaction, [NAN], step)
  with pytest.raises(tf.errors.OpError, match='TrainingError'):
    react(reaction, [NAN], 6)


def test_the_error_is_one_of_ours():
  note = NonFiniteLoss(False)._note
  with pytest.raises(TrainingError):
    note(['a'], np.float32([NAN]), np.int64([1]), 0)


def build_optimizer(kind):
  """Momentum, so that a step with a gradient of 0 would move the weights."""
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
  """Steps of a small model with statistics of its own; a NaN among its inputs breaks a step."""

  def __init__(self, kind='legacy', jit_compile=False):
    tf_keras.utils.set_random_seed(1)
    self.model = tf_keras.Sequential(
      [tf_keras.layers.Dense(2), tf_keras.layers.BatchNormalization()]
    )
    self.model.build([None, 2])
    self.optimizer = build_optimizer(kind)
    if kind == 'averaged':
      self.optimizer.shadow_copy(self.model)
    self.run = tf.function(self.step, jit_compile=jit_compile)

  def step(self, value):
    statistics = RunningStatistics(self.model)
    scaled = isinstance(self.optimizer, tf_keras.mixed_precision.LossScaleOptimizer)
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(
        self.model(value * tf.constant([[1.0, 2.0], [3.0, 5.0]]), training=True) ** 3
      )
      goal = self.optimizer.get_scaled_loss(loss) if scaled else loss
    variables = self.model.trainable_variables
    gradients = tape.gradient(goal, variables)
    if scaled:
      gradients = self.optimizer.get_unscaled_gradients(gradients)
    finite_loss.create_state(self.optimizer, variables)
    finite = finite_loss.finite_everywhere({'loss': loss})
    finite_loss.apply_if(finite, self.optimizer, gradients, variables)
    statistics.restore_unless(finite)
    return loss

  def values(self):
    """Weights, statistics, loss scale and the optimizer's state without its count of steps."""
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
@pytest.mark.parametrize('place', [0, 2])
def test_a_broken_step_changes_nothing_but_the_number_of_steps(kind, place, jit_compile):
  training = Training(kind, jit_compile)
  for step in range(4):
    before = training.values()
    loss = training.run(tf.constant(NAN if step == place else 1.0 + step))
    after = training.values()
    assert int(training.optimizer.iterations) == step + 1
    assert np.isnan(loss) == (step == place)
    # The state of an optimizer may begin with the first step: `before` is shorter then.
    same = [np.array_equal(old, new) for old, new in zip(before, after)]
    beta, running_mean = same[3:5]
    assert all(same) if step == place else not beta and not running_mean
  assert len(after) > len(training.model.variables)


def test_an_infinite_gradient_of_a_scaled_loss_is_for_the_scale():
  """The loss is finite: the step is left out by the scale, which is halved."""
  training = Training('scaled')
  training.optimizer.loss_scale  # noqa: B018  Reading it creates its variable.
  training.optimizer._loss_scale._current_loss_scale.assign(2.0**127)
  weights = training.model.get_weights()
  assert np.isfinite(training.run(tf.constant(1.0)))
  for before, after in zip(weights[:4], training.model.get_weights()[:4]):
    np.testing.assert_array_equal(before, after)
  assert float(training.optimizer.loss_scale) == 2.0**126


@pytest.mark.parametrize('broken', [[NAN, 1.0], [1.0, NAN]])
def test_two_replicas_decide_alike(two_replicas, broken):
  with two_replicas.scope():
    training = Training()

  def inputs(values):
    return two_replicas.experimental_distribute_values_from_function(
      lambda context: tf.constant(values[context.replica_id_in_sync_group])
    )

  run = tf.function(lambda values: two_replicas.run(training.step, args=(values,)))
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
