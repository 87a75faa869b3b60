"""Tests of training with a frozen backbone, and of the statistics that a step copies."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.tasks.htc import model_inputs
from htc_tf.tasks.running_statistics import RunningStatistics
from tests import tiny
from tests.modeling.test_model_garden_parts import PARTS

# Without norm_eval, a backbone that is not frozen updates its running statistics.
UPDATING = {'backbone': {'published_resnet': {'frozen_stages': 1, 'norm_eval': False}}}
DEFORMABLE = {
  'backbone': {
    'published_resnet': {
      'model_id': 50,
      'frozen_stages': 2,
      'norm_eval': False,
      'deformable_stages': [2, 3],
    }
  }
}
BACKBONES = {'updating': UPDATING, 'resnet': PARTS['resnet']}


def build(freeze, **overrides):
  """(task, model) with the same initial values, whether the backbone is frozen or not."""
  tf_keras.utils.set_random_seed(0)
  task = tiny.task(tiny.model(1, **overrides), freeze_backbone=freeze)
  return task, task.build_model()


def forward(model):
  images, labels = tiny.batch(tiny.model(1))
  return model(model_inputs(images, labels), training=True)


def refs(variables):
  return {variable.ref() for variable in variables}


def kinds_of_ops(task, model):
  """Types of all operations of a training step."""
  optimizer = tf_keras.optimizers.legacy.SGD(0.01, momentum=0.9)
  step = tf.function(lambda *batch: task.train_step(batch, model, optimizer), autograph=False)
  graph = step.get_concrete_function(*tiny.batch(tiny.model(1))).graph
  functions = [function.graph for function in graph._functions.values()]
  return [op.type for part in (graph, *functions) for op in part.get_operations()]


@pytest.mark.parametrize('name', BACKBONES)
def test_a_tape_records_nothing_of_a_frozen_backbone(name):
  _, model = build(True, **BACKBONES[name])
  with tf.GradientTape() as tape:
    forward(model)
  assert refs(tape.watched_variables()) == refs(model.trainable_variables)
  assert not refs(model.trainable_variables) & refs(model.backbone.variables)
  assert refs(model.decoder.trainable_variables) <= refs(model.trainable_variables)


@pytest.mark.parametrize('name', BACKBONES)
def test_a_step_with_a_frozen_backbone_has_no_backward_pass_through_it(name):
  kinds = {freeze: kinds_of_ops(*build(freeze, **BACKBONES[name])) for freeze in (False, True)}
  variables = build(False, **BACKBONES[name])[1].backbone.trainable_variables
  num_kernels = sum(variable.shape.rank == 4 for variable in variables)
  num_norms = sum('gamma' in variable.name for variable in variables)
  for kind, num in (('Conv2DBackpropFilter', num_kernels), ('FusedBatchNormGradV3', num_norms)):
    assert kinds[False].count(kind) - kinds[True].count(kind) == num > 0


@pytest.mark.parametrize('name', BACKBONES)
def test_loss_and_gradients_of_the_other_parts_are_those_of_keras_own_freezing(name):
  results = []
  for freeze in (False, True):
    task, model = build(freeze, **BACKBONES[name])
    model.backbone.trainable = False
    losses, _, gradients = task._forward_and_backward(
      tiny.batch(tiny.model(1)), model, tf_keras.optimizers.legacy.SGD()
    )
    assert [v.name for v in model.trainable_variables if 'conv1' in v.name] == []
    results.append((losses, gradients))
  (losses, gradients), (frozen_losses, frozen_gradients) = results
  assert len(gradients) == len(frozen_gradients) > 10
  for key, value in losses.items():
    np.testing.assert_allclose(frozen_losses[key], value, rtol=1e-6, err_msg=key)
  for gradient, frozen in zip(gradients, frozen_gradients):
    np.testing.assert_allclose(frozen, gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('name', BACKBONES)
def test_a_step_changes_nothing_of_a_frozen_backbone_and_everything_else(name):
  task, model = build(True, **BACKBONES[name])
  before = model.backbone.get_weights()
  others = [variable.numpy() for variable in model.trainable_variables]
  optimizer = tf_keras.optimizers.legacy.SGD(0.01, momentum=0.9)
  task.train_step(tiny.batch(tiny.model(1)), model, optimizer)
  for old, new in zip(before, model.backbone.get_weights()):
    np.testing.assert_array_equal(old, new)
  changed = [np.any(old != new) for old, new in zip(others, model.trainable_variables)]
  assert np.mean(changed) > 0.8


@pytest.mark.parametrize('first, second', [(False, True), (True, False), (True, True)])
def test_checkpoints_fit_models_with_and_without_a_frozen_backbone(first, second, tmp_path):
  _, model = build(first, **UPDATING)
  for variable in model.variables:
    variable.assign(tf.random.stateless_uniform(variable.shape, [1, 2]))
  path = tf.train.Checkpoint(model=model, **model.checkpoint_items).save(str(tmp_path / 'ckpt'))
  _, other = build(second, **UPDATING)
  restored = tf.train.Checkpoint(model=other, **other.checkpoint_items).restore(path)
  restored.assert_existing_objects_matched()
  for part in ('backbone', 'decoder'):
    # A name begins with that of the part, which has a number that counts the models.
    values, restored_values = (
      {v.name.split('/', 1)[-1]: v.numpy() for v in getattr(owner, part).variables}
      for owner in (model, other)
    )
    assert values.keys() == restored_values.keys()
    for path, value in values.items():
      np.testing.assert_array_equal(restored_values[path], value, err_msg=path)


def test_a_run_with_a_frozen_backbone_resumes_with_its_momentum(tmp_path):
  states = []
  for path in (None, str(tmp_path / 'ckpt-1')):
    task, model = build(True, **UPDATING)
    optimizer = tf_keras.optimizers.SGD(0.01, momentum=0.9)
    optimizer.build(model.trainable_variables)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer)
    if path is None:
      task.train_step(tiny.batch(tiny.model(1)), model, optimizer)
      checkpoint.save(str(tmp_path / 'ckpt'))
    else:
      checkpoint.restore(path).assert_existing_objects_matched()
    states.append([variable.numpy() for variable in optimizer.variables])
  assert any(np.any(value) for value in states[0][2:])
  for saved, restored in zip(*states):
    np.testing.assert_array_equal(saved, restored)


@pytest.mark.parametrize(
  'freeze, overrides',
  [
    (False, {}),
    (False, UPDATING),
    (False, DEFORMABLE),
    (False, PARTS['resnet']),
    (True, UPDATING),
    (True, PARTS['resnet']),
  ],
  ids=['norm_eval', 'updating', 'deformable', 'resnet', 'frozen', 'frozen_resnet'],
)
def test_a_step_copies_exactly_the_variables_that_its_forward_pass_changes(freeze, overrides):
  _, model = build(freeze, **overrides)
  for variable in model.variables:
    if 'moving' in variable.name:  # Batch statistics that differ from every initial value.
      variable.assign(tf.random.stateless_uniform(variable.shape, [1, 2], 0.5, 1.5))
  copied = refs(RunningStatistics(model).variables)
  before = [variable.numpy() for variable in model.variables]
  forward(model)
  changed = [v for v, old in zip(model.variables, before) if np.any(v.numpy() != old)]
  assert copied == refs(changed)
  assert bool(copied & refs(model.backbone.variables)) == (not freeze and bool(overrides))


def test_a_layer_that_is_trained_inside_a_frozen_one_is_copied():
  inner = tf_keras.layers.BatchNormalization()
  frozen = tf_keras.Sequential([inner, tf_keras.layers.BatchNormalization()])
  frozen.build([None, 2])
  frozen.trainable = False
  inner.trainable = True
  model = tf_keras.Sequential([frozen])
  model.build([None, 2])
  copied = RunningStatistics(model).variables
  assert refs(copied) == refs([inner.moving_mean, inner.moving_variance])
