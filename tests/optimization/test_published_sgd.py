"""Tests of SGD with the published momentum against its definition in NumPy."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.core import exp_factory
from official.modeling import optimization

from htc_tf import registry_imports  # noqa: F401
from htc_tf.configs.optimization import Optimization
from htc_tf.optimization.published_sgd import VELOCITY, PublishedSGD
from tests import optimizer_steps

MOMENTUM = 0.9
NUM_STEPS = 12
# A warm-up of four steps to 0.1, and a decay at step 8.
RATES = [0.001 + (0.1 - 0.001) * step / 4 for step in range(4)] + [0.1] * 5 + [0.01] * 3
GRADIENTS = np.random.default_rng(0).normal(size=[NUM_STEPS, 3]).astype(np.float32)
START = np.array([1.0, -2.0, 0.5], np.float32)
# Weights of PyTorch after all steps from this start: with a decay of 0.1, and without decay, with
# gradients whose norm together is limited to 0.5.
TORCH_LIMITED = [
  [0.7676462531089783, -1.2407630681991577, 0.32809117436408997],
  [1.0764201879501343, -1.838290810585022, 0.4712205231189728],
]

# Weights of PyTorch after some of the steps of which these are skipped, because their gradients are
# infinite, and the momentum after the last one.
SKIPPED_STEPS = {0, 1, 6}
TORCH_SKIPPED = {
  1: [1.0, -2.0, 0.5],
  2: [0.9341480135917664, -2.0478274822235107, 0.5355386137962341],
  5: [1.4717416763305664, -2.008246660232544, 0.9496805667877197],
  6: [1.4717416763305664, -2.008246660232544, 0.9496805667877197],
  11: [1.661522626876831, -1.7587357759475708, 1.3268769979476929],
}
TORCH_VELOCITY = [-1.2712, -1.0403, -1.0530]


def published_steps(gradients, rates=RATES):
  """[steps, 3] weights after each step of PyTorch's and Paddle's rule, in float64."""
  weight, velocity, weights = START.astype(np.float64), np.zeros(3), []
  for gradient, rate in zip(gradients, rates):
    velocity = MOMENTUM * velocity + gradient
    weight = weight - rate * velocity
    weights.append(weight)
  return np.stack(weights)


def keras_steps(gradients):
  weight, velocity, weights = START.astype(np.float64), np.zeros(3), []
  for gradient, rate in zip(gradients, RATES):
    velocity = MOMENTUM * velocity - rate * gradient
    weight = weight + velocity
    weights.append(weight)
  return np.stack(weights)


def build(kind='published_sgd', ema=None, **values):
  config = Optimization(
    {
      'optimizer': {'type': kind, kind: {'momentum': MOMENTUM, **values}},
      'learning_rate': {
        'type': 'stepwise',
        'stepwise': {'boundaries': [8], 'values': [0.1, 0.01]},
      },
      'warmup': {'type': 'linear', 'linear': {'warmup_steps': 4, 'warmup_learning_rate': 0.001}},
      'ema': ema,
    }
  )
  factory = optimization.OptimizerFactory(config)
  return factory.build_optimizer(factory.build_learning_rate())


def run(optimizer, variable, gradients):
  @tf.function(autograph=False)
  def step(gradient):
    optimizer.apply_gradients([(gradient, variable)])

  weights = []
  for gradient in gradients:
    step(tf.constant(gradient))
    weights.append(variable.numpy())
  return np.stack(weights)


def test_the_steps_are_those_of_the_definition_while_the_rate_changes():
  variable = tf.Variable(START)
  weights = run(build(), variable, GRADIENTS)
  np.testing.assert_allclose(weights, published_steps(GRADIENTS), rtol=0, atol=5e-7)
  # The oracle tells the rules apart.
  keras = run(build('sgd'), tf.Variable(START), GRADIENTS)
  np.testing.assert_allclose(keras, keras_steps(GRADIENTS), rtol=0, atol=5e-7)
  assert np.abs(keras - weights).max() > 0.01


def test_both_rules_agree_at_a_constant_rate():
  steps = [
    run(kind(0.1, momentum=MOMENTUM), tf.Variable(START), GRADIENTS)
    for kind in (PublishedSGD, tf_keras.optimizers.legacy.SGD)
  ]
  np.testing.assert_allclose(*steps, rtol=0, atol=1e-6)
  np.testing.assert_allclose(
    steps[0], published_steps(GRADIENTS, [0.1] * NUM_STEPS), rtol=0, atol=1e-6
  )


def test_a_norm_limit_applies_to_the_gradient_and_not_to_the_velocity():
  limit = 0.5
  norms = np.linalg.norm(GRADIENTS, axis=-1, keepdims=True)
  weights = run(build(global_clipnorm=limit), tf.Variable(START), GRADIENTS)
  clipped = GRADIENTS * np.minimum(1.0, limit / norms)
  np.testing.assert_allclose(weights, published_steps(clipped), rtol=0, atol=5e-7)


def test_weight_decay_is_outside_of_the_norm_limit():
  limit, decay = 0.5, 0.1
  decayed, other = tf.Variable(START), tf.Variable(START)
  optimizer = build(global_clipnorm=limit)
  optimizer.decay_weights(lambda variable: decay if variable is decayed else 0.0)

  @tf.function(autograph=False)
  def step(gradient):
    optimizer.apply_gradients([(gradient, decayed), (gradient, other)])

  weights, velocity = np.stack([START, START]).astype(np.float64), np.zeros([2, 3])
  for gradient, rate in zip(GRADIENTS, RATES):
    step(tf.constant(gradient))
    limited = gradient * min(1.0, limit / np.sqrt(2 * np.sum(gradient**2)))
    velocity = MOMENTUM * velocity + limited + decay * weights * [[1.0], [0.0]]
    weights -= rate * velocity
  np.testing.assert_allclose([decayed, other], weights, rtol=0, atol=1e-6)
  np.testing.assert_allclose([decayed, other], TORCH_LIMITED, rtol=0, atol=2e-6)


def test_rows_without_a_gradient_move_with_their_velocity():
  variable, optimizer = tf.Variable(START[:, np.newaxis]), build()
  dense = optimizer_steps.on_rows(optimizer, variable, GRADIENTS)
  np.testing.assert_allclose(variable[:, 0], published_steps(dense)[-1], rtol=0, atol=5e-7)


@pytest.mark.parametrize('num_before', [2, 6, 9])
def test_a_checkpoint_continues_the_schedule_and_the_momentum(tmp_path, num_before):
  variable, optimizer = tf.Variable(START), build()
  run(optimizer, variable, GRADIENTS[:num_before])
  prefix = tf.train.Checkpoint(w=variable, optimizer=optimizer).write(str(tmp_path / 'ckpt'))
  variable, optimizer = tf.Variable(tf.zeros(3)), build()
  tf.train.Checkpoint(w=variable, optimizer=optimizer).read(prefix)
  weights = run(optimizer, variable, GRADIENTS[num_before:])
  np.testing.assert_allclose(weights, published_steps(GRADIENTS)[num_before:], rtol=0, atol=5e-7)


def test_replicas_add_up_their_gradients(two_replicas):
  with two_replicas.scope():
    variable, optimizer = tf.Variable(START), build()
  optimizer_steps.on_replicas(two_replicas, optimizer, variable, GRADIENTS)
  np.testing.assert_allclose(variable, published_steps(GRADIENTS)[-1], rtol=0, atol=5e-7)


def test_xla_compiles_a_step():
  variable, optimizer = tf.Variable(START), build()
  optimizer._create_all_weights([variable])
  step = tf.function(
    lambda gradient: optimizer.apply_gradients([(gradient, variable)]) and None,
    jit_compile=True,
    autograph=False,
  )
  for gradient in GRADIENTS:
    step(tf.constant(gradient))
  np.testing.assert_allclose(variable, published_steps(GRADIENTS)[-1], rtol=0, atol=5e-7)


def test_a_skipped_step_counts_for_the_schedule_but_not_for_the_momentum():
  """As with torch.amp.GradScaler and a schedule by iteration."""
  variable, optimizer = tf.Variable(START), build()
  scaling = tf_keras.mixed_precision.LossScaleOptimizer(optimizer)
  gradients = [None if step in SKIPPED_STEPS else each for step, each in enumerate(GRADIENTS)]
  weights = optimizer_steps.of_scaled_losses(scaling, variable, gradients)
  done = [step for step, gradient in enumerate(gradients) if gradient is not None]
  expected = published_steps(GRADIENTS[done], np.array(RATES)[done])
  np.testing.assert_allclose(weights[done], expected, rtol=0, atol=5e-7)
  known = list(TORCH_SKIPPED.values())
  np.testing.assert_allclose(weights[list(TORCH_SKIPPED)], known, rtol=0, atol=1e-6)
  velocity = optimizer.get_slot(variable, VELOCITY)
  np.testing.assert_allclose(velocity, TORCH_VELOCITY, rtol=0, atol=1e-4)


def test_weights_are_averaged():
  model = tf_keras.Sequential([tf_keras.layers.Dense(1, use_bias=False, input_shape=[3])])
  model.set_weights([START[:, np.newaxis]])
  optimizer = build(ema={'average_decay': 0.5, 'dynamic_decay': False})
  optimizer.shadow_copy(model)
  (kernel,) = model.trainable_variables
  run(optimizer, kernel, GRADIENTS[..., np.newaxis])
  average = np.zeros(3)  # The trainer lets the averages start at the weights.
  for weight in published_steps(GRADIENTS):
    average = 0.5 * average + 0.5 * weight
  np.testing.assert_allclose(optimizer._average_weights[0][:, 0], average, rtol=0, atol=1e-6)


def test_the_configuration_of_the_optimizer_builds_it_again():
  optimizer = PublishedSGD(0.25, momentum=0.5, global_clipnorm=2.0)
  again = PublishedSGD.from_config(optimizer.get_config())
  assert again.get_config() == optimizer.get_config()
  assert (float(again.learning_rate), float(again.momentum)) == (0.25, 0.5)
  assert again.global_clipnorm == 2.0


@pytest.mark.parametrize(
  'experiment, kind',
  [
    ('htc_resnet50fpn_1x_coco', PublishedSGD),
    ('htc_resnet50fpn_20e_coco', PublishedSGD),
    ('htc_without_semantic_resnet50fpn_1x_coco', PublishedSGD),
    ('htc_resnet50fpn_1x_coco_paddle', PublishedSGD),
    ('cascade_mask_rcnn_resnet50fpn_1x_coco', PublishedSGD),
    ('mask_rcnn_resnet50fpn_1x_coco', PublishedSGD),
    ('htc_resnetfpn_coco', tf_keras.optimizers.legacy.SGD),
    ('htc_nuclei', tf_keras.optimizers.legacy.SGD),
    ('htc_base', tf_keras.optimizers.legacy.SGD),
  ],
)
def test_published_experiments_have_the_published_rule(experiment, kind):
  config = exp_factory.get_exp_config(experiment).trainer.optimizer_config
  factory = optimization.OptimizerFactory(config)
  optimizer = factory.build_optimizer(0.1)
  assert type(optimizer) is kind
  assert float(optimizer.momentum) == pytest.approx(MOMENTUM)
  # A change of the type alone chooses the other rule with the same values.
  choice = config.optimizer
  for field in ('momentum', 'global_clipnorm'):
    assert getattr(choice.sgd, field) == getattr(choice.published_sgd, field)
