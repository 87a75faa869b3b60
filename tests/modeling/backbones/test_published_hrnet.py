"""Tests of the published HRNet; tests/convert/test_hrnet_names.py has its names and shapes."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.errors import ConfigError
from htc_tf.modeling.backbones.published_hrnet import HRNetSize, PublishedHRNet
from htc_tf.modeling.layers.batch_norm import NormOptions

TINY = HRNetSize(2, (1, 1, 1), 1, 4)
GROUPS = ('stem', 'layer1', 'stage2', 'stage3', 'stage4')


@pytest.fixture(scope='module', name='tiny')
def tiny_fixture():
  """A model that no test changes."""
  return PublishedHRNet(TINY)


@pytest.mark.parametrize('height,width', [(64, 64), (63, 90), (32, 1)])
def test_output_sizes_are_rounded_up(height, width, tiny):
  outputs = tiny(tf.zeros([1, height, width, 3]))
  assert sorted(outputs) == ['2', '3', '4', '5']
  for level, value in outputs.items():
    stride = 2 ** int(level)
    assert value.shape[1:3] == [-(-height // stride), -(-width // stride)]
    assert value.shape[-1] == tiny.output_specs[level][-1] == 2 * stride // 4


def test_each_size_has_its_numbers_of_modules_and_blocks():
  model = PublishedHRNet(HRNetSize(2, (1, 2, 1), 2, 4))
  assert [len(stage) for stage in (model.stage2, model.stage3, model.stage4)] == [1, 2, 1]
  assert len(model.layer1) == 2
  assert [len(blocks) for blocks in model.stage4[0].branches] == [2, 2, 2, 2]
  assert model.conv2.kernel.shape == [3, 3, 4, 4]
  assert model.layer1[1].conv3.kernel.shape == [1, 1, 4, 16]


def test_a_stage_passes_on_maps_whose_width_stays(tiny):
  assert [path is None for path in tiny.transition1] == [False, False]
  assert [path is None for path in tiny.transition2] == [True, True, False]
  assert [path is None for path in tiny.transition3] == [True, True, True, False]
  same = PublishedHRNet(HRNetSize(16, (1, 1, 1), 1, 4))  # Stage 1 also has 16 channels.
  assert same.transition1[0] is None
  assert same(tf.zeros([1, 32, 32, 3]))['5'].shape == [1, 1, 1, 128]


def test_a_transition_is_a_convolution_with_relu_of_the_coarsest_map():
  """With zero weights in the modules, whose sums are then the maps that they read."""
  model = PublishedHRNet(TINY)
  for variable in model.variables:
    if 'stage' in variable.name and 'gamma' in variable.name:
      variable.assign(tf.zeros_like(variable))
  images = tf.random.stateless_normal([1, 64, 64, 3], [1, 2])
  outputs = model(images)
  for level, index in (('4', 2), ('5', 3)):
    (conv,) = getattr(model, f'transition{index}')[index]
    before = outputs[str(int(level) - 1)]
    expected = np.maximum(conv(before), 0.0)
    assert expected.any()
    np.testing.assert_allclose(outputs[level], expected, rtol=1e-5, atol=1e-6)


def group_of(variable):
  prefix = variable.name.split('/')[0]
  prefix = {'transition1': 'stage2', 'transition2': 'stage3', 'transition3': 'stage4'}.get(
    prefix, prefix
  )
  return prefix if prefix in GROUPS else 'stem'


@pytest.mark.parametrize('frozen_stages', range(-1, 5))
def test_only_stages_that_are_not_frozen_are_trained(frozen_stages):
  model = PublishedHRNet(TINY, frozen_stages=frozen_stages)
  trained = GROUPS[frozen_stages + 1 :]
  assert {group_of(variable) for variable in model.trainable_variables} == set(trained)
  names = {variable.name.split('/')[-1] for variable in model.trainable_variables}
  assert names == ({'kernel:0', 'gamma:0', 'beta:0'} if trained else set())


def random_model(size=TINY, **values):
  """A backbone in which all residual paths have gradients, and a batch."""
  tf_keras.utils.set_random_seed(0)
  model = PublishedHRNet(size, **values)
  for variable in model.variables:
    if 'gamma' in variable.name:
      variable.assign(tf.random.stateless_uniform(variable.shape, [1, 2], 0.5, 1.0))
    if 'beta' in variable.name:  # With few channels, all of them could be dead.
      variable.assign(tf.random.stateless_uniform(variable.shape, [1, 2], 0.0, 0.5))
  return model, tf.random.stateless_normal([1, 64, 96, 3], [3, 4])


def gradients_of(model, images):
  with tf.GradientTape() as tape:
    outputs = model(images, training=True)
    loss = tf.add_n([tf.reduce_mean(tf.cast(x, tf.float32) ** 2) for x in outputs.values()])
  return tape.gradient(loss, model.trainable_variables)


def test_the_statistics_of_trained_norms_are_averaged_without_norm_eval():
  model, images = random_model(frozen_stages=1, norm=NormOptions(norm_eval=False))
  before = [variable.numpy() for variable in model.non_trainable_variables]
  model(images, training=True)
  changed = {
    group_of(variable)
    for variable, old in zip(model.non_trainable_variables, before)
    if np.any(variable.numpy() != old)
  }
  assert changed == set(GROUPS[2:])


def test_norm_eval_keeps_and_uses_the_running_statistics():
  model, images = random_model(norm=NormOptions(norm_eval=True))
  before = [variable.numpy() for variable in model.non_trainable_variables]
  training = model(images, training=True)
  for old, variable in zip(before, model.non_trainable_variables):
    np.testing.assert_array_equal(old, variable)
  for level, value in model(images, training=False).items():
    np.testing.assert_array_equal(training[level], value)


@pytest.mark.parametrize('policy,tolerance', [('float32', 1e-5), ('mixed_bfloat16', 0.1)])
def test_recompute_gives_the_same_gradients(policy, tolerance):
  tf_keras.mixed_precision.set_global_policy(policy)
  try:
    (kept, images), (recomputed, _) = (random_model(recompute=flag) for flag in (False, True))
  finally:
    tf_keras.mixed_precision.set_global_policy('float32')
  assert kept(images)['2'].dtype == (tf.float32 if policy == 'float32' else tf.bfloat16)
  for variable, expected, actual in zip(
    kept.trainable_variables, gradients_of(kept, images), gradients_of(recomputed, images)
  ):
    assert np.any(expected), variable.name
    limit = tolerance * np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=limit, err_msg=variable.name)


def test_recompute_runs_trained_parts_twice_and_frozen_ones_have_no_backward_pass():
  model, images = random_model(frozen_stages=3, recompute=True)
  step = tf.function(lambda x: gradients_of(model, x), autograph=False)
  kinds = [op.type for op in needed(step.get_concrete_function(images).graph.outputs)]
  kernels, trained = (
    [variable.name for variable in variables if 'kernel' in variable.name]
    for variables in (model.variables, model.trainable_variables)
  )
  assert kinds.count('Conv2DBackpropFilter') == len(trained)
  again = [name for name in trained if 'transition' not in name]
  assert kinds.count('Conv2D') == len(kernels) + len(again)


def needed(outputs):
  """All operations of a graph that these tensors are computed from."""
  queue = [output.op for output in outputs]
  found = set(queue)
  for op in queue:  # The loop appends to the queue.
    inputs = [tensor.op for tensor in op.inputs]
    queue += [op for op in dict.fromkeys(inputs) if op not in found]
    found.update(inputs)
  return found


@pytest.mark.parametrize(
  'values,message',
  [
    ({'frozen_stages': 5}, 'frozen_stages from -1 to 4.*Got: 5'),
    ({'frozen_stages': -2}, 'frozen_stages from -1 to 4.*Got: -2'),
    ({'size': HRNetSize(num_modules=(1, 1, 4, 3))}, r'stages 2, 3 and 4.*Got: \[1, 1, 4, 3\]'),
  ],
)
def test_unknown_options_are_rejected(values, message):
  with pytest.raises(ConfigError, match=message):
    PublishedHRNet(**values)
