"""Tests of AdamW against its definition in NumPy and against steps of torch.optim.AdamW 2.x."""

import numpy as np
import tensorflow as tf
import tf_keras
from official.modeling import optimization

from htc_tf import registry_imports  # noqa: F401
from htc_tf.configs.optimization import Optimization
from htc_tf.optimization.published_adamw import PublishedAdamW
from htc_tf.tasks import finite_loss
from tests import optimizer_steps

NUM_STEPS, DECAY = 20, 0.05
# A warm-up of five steps to 0.1, and a decay at step 15.
RATES = [0.001 + (0.1 - 0.001) * step / 5 for step in range(5)] + [0.1] * 10 + [0.01] * 5
GRADIENTS = np.random.default_rng(0).normal(size=[NUM_STEPS, 3]).astype(np.float32)
START = np.array([1.0, -2.0, 0.5], np.float32)
# Weights of PyTorch after some of the steps with this start, these gradients and these rates.
TORCH_DECAYED = {
  0: [0.9989500045776367, -1.9988999366760254, 0.49897500872612],
  4: [0.9707368612289429, -1.9438852071762085, 0.4948495328426361],
  9: [1.0344128608703613, -1.8200057744979858, 0.6550390124320984],
  14: [1.0330554246902466, -1.662856936454773, 0.6169164776802063],
  19: [1.0244026184082031, -1.6693577766418457, 0.5886982679367065],
}
TORCH_NOT_DECAYED = {
  0: [0.9990000128746033, -1.9989999532699585, 0.49900001287460327],
  4: [0.9804400205612183, -1.9639625549316406, 0.4996696412563324],
  9: [1.0696322917938232, -1.8873401880264282, 0.6739670634269714],
  14: [1.094557762145996, -1.7741804122924805, 0.6527220606803894],
  19: [1.0884768962860107, -1.7848453521728516, 0.6260170936584473],
}

# The same with these steps skipped, because their gradients were infinite: decayed weights.
TORCH_SKIPPED_STEPS = {0, 1, 7}
TORCH_SKIPPED = {
  1: [1.0, -2.0, 0.5],
  2: [0.9573699831962585, -2.0365400314331055, 0.5395849943161011],
  7: [1.0791044235229492, -2.0032577514648438, 0.77520352602005],
  8: [1.091275691986084, -2.0116829872131348, 0.8478124737739563],
  19: [1.1754560470581055, -1.9218441247940063, 0.9128528237342834],
}


def defined_steps(gradients, decay=DECAY, epsilon=1e-8, rates=RATES):
  """[steps, 3] weights after each step of the definition, in float64; None is a skipped step."""
  weight, first, second, weights = START.astype(np.float64), np.zeros(3), np.zeros(3), []
  step = 0
  for gradient, rate in zip(gradients, rates):
    if gradient is None:
      weights.append(weight)
      continue
    step += 1
    wide = np.asarray(gradient, np.float64)
    first = 0.9 * first + 0.1 * wide
    second = 0.999 * second + 0.001 * wide**2
    weight = weight - rate * decay * weight
    root = np.sqrt(second / (1 - 0.999**step)) + epsilon
    weight = weight - rate * first / (1 - 0.9**step) / root
    weights.append(weight)
  return np.stack(weights)


def build(ema=None, **values):
  config = Optimization(
    {
      'optimizer': {
        'type': 'published_adamw',
        'published_adamw': {'weight_decay': DECAY, 'exclude_from_decay': ['norm'], **values},
      },
      'learning_rate': {
        'type': 'stepwise',
        'stepwise': {'boundaries': [14], 'values': [0.1, 0.01]},
      },
      'warmup': {'type': 'linear', 'linear': {'warmup_steps': 5, 'warmup_learning_rate': 0.001}},
      'ema': ema,
    }
  )
  factory = optimization.OptimizerFactory(config)
  return factory.build_optimizer(factory.build_learning_rate())


def run(optimizer, variables, gradients):
  """[variables, steps, 3] weights after each step."""

  @tf.function(autograph=False)
  def step(gradient):
    optimizer.apply_gradients([(gradient, variable) for variable in variables])

  weights = []
  for gradient in gradients:
    step(tf.constant(gradient))
    weights.append([variable.numpy() for variable in variables])
  return np.stack(weights, 1)


def test_steps_are_those_of_pytorch_and_of_the_definition_while_the_rate_changes():
  variables = [tf.Variable(START, name='kernel'), tf.Variable(START, name='norm/gamma')]
  decayed, other = run(build(), variables, GRADIENTS)
  for weights, known in ((decayed, TORCH_DECAYED), (other, TORCH_NOT_DECAYED)):
    np.testing.assert_allclose(weights[list(known)], list(known.values()), rtol=0, atol=1e-6)
  np.testing.assert_allclose(decayed, defined_steps(GRADIENTS), rtol=0, atol=2e-6)
  np.testing.assert_allclose(other, defined_steps(GRADIENTS, 0.0), rtol=0, atol=2e-6)


def test_epsilon_is_added_after_the_correction():
  weights = run(build(epsilon=0.1), [tf.Variable(START, name='kernel')], GRADIENTS)
  np.testing.assert_allclose(weights[0], defined_steps(GRADIENTS, epsilon=0.1), rtol=0, atol=2e-6)


def test_rows_without_a_gradient_move_with_their_moments():
  variable, optimizer = tf.Variable(START[:, np.newaxis], name='kernel'), build()
  dense = optimizer_steps.on_rows(optimizer, variable, GRADIENTS)
  np.testing.assert_allclose(variable[:, 0], defined_steps(dense)[-1], rtol=0, atol=2e-6)


def assert_continues_after_8_steps(prefix):
  """Fail unless the steps after a checkpoint are those of the definition."""
  variable, optimizer = tf.Variable(tf.zeros(3), name='kernel'), build()
  tf.train.Checkpoint(w=variable, optimizer=optimizer).read(prefix)
  weights = run(optimizer, [variable], GRADIENTS[8:])
  np.testing.assert_allclose(weights[0], defined_steps(GRADIENTS)[8:], rtol=0, atol=2e-6)


def test_a_checkpoint_continues_the_schedule_and_the_moments(tmp_path):
  variable, optimizer = tf.Variable(START, name='kernel'), build()
  run(optimizer, [variable], GRADIENTS[:8])
  prefix = tf.train.Checkpoint(w=variable, optimizer=optimizer).write(str(tmp_path / 'ckpt'))
  assert_continues_after_8_steps(prefix)


def test_replicas_add_up_their_gradients(two_replicas):
  with two_replicas.scope():
    variable, optimizer = tf.Variable(START, name='kernel'), build()
  optimizer_steps.on_replicas(two_replicas, optimizer, variable, GRADIENTS)
  np.testing.assert_allclose(variable, defined_steps(GRADIENTS)[-1], rtol=0, atol=2e-6)


def test_the_rate_falls_with_the_depth_and_scales_the_decay_too():
  """Groups of PyTorch with a rate of their own do the same."""
  variables = [tf.Variable(START, name=name) for name in ('layer3/0/conv', 'layer4/0/conv', 'fc')]
  optimizer = build(rate_by_depth={'factor': 0.5, 'part': 'stage'})
  for weights, factor in zip(run(optimizer, variables, GRADIENTS), (0.25, 0.5, 1.0)):
    expected = defined_steps(GRADIENTS, rates=factor * np.array(RATES))
    np.testing.assert_allclose(weights, expected, rtol=0, atol=2e-6)


def with_skipped_steps(gradients, skipped):
  """The gradients, with None for the steps whose gradients are not finite."""
  return [None if step in skipped else gradient for step, gradient in enumerate(gradients)]


def test_a_skipped_step_counts_for_the_schedule_but_not_for_the_moments():
  """As with torch.amp.GradScaler and a schedule by iteration."""
  variable, optimizer = tf.Variable(START, name='kernel'), build()
  scaling = tf_keras.mixed_precision.LossScaleOptimizer(optimizer)
  gradients = with_skipped_steps(GRADIENTS, TORCH_SKIPPED_STEPS)
  weights = optimizer_steps.of_scaled_losses(scaling, variable, gradients)
  np.testing.assert_allclose(weights, defined_steps(gradients), rtol=0, atol=2e-6)
  known = list(TORCH_SKIPPED.values())
  np.testing.assert_allclose(weights[list(TORCH_SKIPPED)], known, rtol=0, atol=2e-6)
  assert int(optimizer.iterations) == NUM_STEPS
  assert int(optimizer.num_updates) == NUM_STEPS - len(TORCH_SKIPPED_STEPS)


def test_a_checkpoint_keeps_the_number_of_updates(tmp_path):
  gradients = with_skipped_steps(GRADIENTS, TORCH_SKIPPED_STEPS)

  def scaled_run(initial, prefix, gradients):
    variable = tf.Variable(initial, name='kernel')
    optimizer = tf_keras.mixed_precision.LossScaleOptimizer(build())
    checkpoint = tf.train.Checkpoint(w=variable, optimizer=optimizer)
    if prefix:
      checkpoint.read(prefix)
    weights = optimizer_steps.of_scaled_losses(optimizer, variable, gradients)
    return weights, checkpoint.write(str(tmp_path / 'ckpt'))

  before, prefix = scaled_run(START, None, gradients[:9])
  after, _ = scaled_run(np.zeros(3, np.float32), prefix, gradients[9:])
  weights = np.concatenate([before, after])
  np.testing.assert_allclose(weights, defined_steps(gradients), rtol=0, atol=2e-6)


def test_a_checkpoint_without_the_number_of_updates_has_that_of_all_steps(tmp_path, monkeypatch):
  variable, optimizer = tf.Variable(START, name='kernel'), build()
  run(optimizer, [variable], GRADIENTS[:8])
  children = optimizer._trackable_children()
  assert children.pop('num_updates') is optimizer.num_updates
  with monkeypatch.context() as patch:
    patch.setattr(optimizer, '_trackable_children', lambda *args, **kwargs: children)
    prefix = tf.train.Checkpoint(w=variable, optimizer=optimizer).write(str(tmp_path / 'ckpt'))
  assert_continues_after_8_steps(prefix)


def test_a_step_that_the_task_skips_is_no_update(two_replicas):
  with two_replicas.scope():
    variable, optimizer = tf.Variable(START, name='kernel'), build()
  finite_loss.create_state(optimizer, [variable])

  def in_replica(gradient):
    accepted = finite_loss.finite_everywhere({'gradient': tf.reduce_sum(gradient)})
    finite_loss.apply_if(accepted, optimizer, [0.5 * gradient], [variable])

  step = tf.function(
    lambda gradient: two_replicas.run(in_replica, args=(gradient,)), autograph=False
  )
  gradients = with_skipped_steps(GRADIENTS, TORCH_SKIPPED_STEPS)
  for gradient in gradients:
    step(tf.constant(np.full(3, np.nan, np.float32) if gradient is None else gradient))
  np.testing.assert_allclose(variable, defined_steps(gradients)[-1], rtol=0, atol=2e-6)


def test_weights_are_averaged():
  model = tf_keras.Sequential([tf_keras.layers.Dense(1, use_bias=False, input_shape=[3])])
  model.set_weights([START[:, np.newaxis]])
  optimizer = build({'average_decay': 0.5, 'dynamic_decay': False})
  optimizer.shadow_copy(model)
  run(optimizer, model.trainable_variables, GRADIENTS[..., np.newaxis])
  average = np.zeros(3)  # The trainer lets the averages start at the weights.
  for weight in defined_steps(GRADIENTS):
    average = 0.5 * average + 0.5 * weight
  np.testing.assert_allclose(optimizer._average_weights[0][:, 0], average, rtol=0, atol=2e-6)


def test_the_configuration_of_the_optimizer_builds_it_again():
  optimizer = PublishedAdamW(0.25, weight_decay=0.5, exclude_from_decay=['bias'], epsilon=1e-3)
  again = PublishedAdamW.from_config(optimizer.get_config())
  assert again.get_config() == optimizer.get_config()
  assert again.decays('kernel') and not again.decays('head/bias:0')


def test_xla_compiles_a_step():
  variable, optimizer = tf.Variable(START, name='kernel'), build()
  optimizer._create_all_weights([variable])
  step = tf.function(
    lambda gradient: optimizer.apply_gradients([(gradient, variable)]) and None,
    jit_compile=True,
    autograph=False,
  )
  for gradient in GRADIENTS:
    step(tf.constant(gradient))
  np.testing.assert_allclose(variable, defined_steps(GRADIENTS)[-1], rtol=0, atol=2e-6)
