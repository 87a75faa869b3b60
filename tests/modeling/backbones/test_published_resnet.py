"""Tests of the published ResNet; test_published_layout.py compares it with published values."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.errors import ConfigError
from htc_tf.modeling.backbones.published_resnet import PublishedResNet
from htc_tf.modeling.backbones.resnet_options import BottleneckOptions, LayerOptions
from htc_tf.modeling.layers.batch_norm import NormOptions
from parity.pack import EXTRACT, ZOO_EXTRACT
from tests import published_weights

TINY = {'model_id': 18, 'width_multiplier': 0.0625}
# Numbers of parameters of the ImageNet models without the classifier.
NUM_TRAINABLE = {
  18: 11_176_512,
  34: 21_284_672,
  50: 23_508_032,
  101: 42_500_160,
  152: 58_143_808,
}
RES2NET = {
  'bottleneck': BottleneckOptions(base_width=26, scales=4),
  'layers': LayerOptions(deep_stem=True, average_shortcut=True),
}
TINY_RES2NET = {'model_id': 50, 'width_multiplier': 0.0625, **RES2NET}
GROUPS = ('stem', 'layer1', 'layer2', 'layer3', 'layer4')


def tf_layout(shape):
  return [shape[2], shape[3], shape[1], shape[0]] if len(shape) == 4 else shape


def resnext(groups, **values):
  options = BottleneckOptions(groups, base_width=4, **values)
  return {'model_id': 101, 'bottleneck': options}


@pytest.mark.parametrize(
  'values,config',
  [
    ({'model_id': 50}, 'r50_fpn_1x_coco'),
    ({'model_id': 101}, 'r101_fpn_20e_coco'),
    (resnext(32), 'x101-32x4d_fpn_16xb1-20e_coco'),
    (resnext(64), 'x101-64x4d_fpn_16xb1-20e_coco'),
    ({'model_id': 101, **RES2NET}, 'res2net-101_fpn_20e_coco'),
    (
      resnext(64, deformable_stages=(2, 3, 4)),
      'x101-64x4d-dconv-c3-c5_fpn_ms-400-1400-16xb1-20e_coco',
    ),
  ],
)
def test_variables_have_the_published_shapes(values, config):
  of_zoo = ZOO_EXTRACT / f'htc_{config}_shapes.json'
  path = of_zoo if of_zoo.exists() else EXTRACT / f'mmdet_htc_{config}_shapes.json'
  stored = json.loads(path.read_text())
  published = {
    name.removeprefix('backbone.'): tf_layout(shape)
    for name, shape in stored
    if name.startswith('backbone.') and not name.endswith('num_batches_tracked')
  }
  ours = {}
  for name, layer in published_weights.backbone_layers(PublishedResNet(**values)):
    # The kernel and bias of the offsets follow the kernel of a deformable convolution.
    parts = (
      ('weight', 'conv_offset.weight', 'conv_offset.bias')
      if isinstance(layer, tf_keras.layers.Conv2D)
      else ('weight', 'bias', 'running_mean', 'running_var')
    )
    ours.update(
      {f'{name}.{part}': list(variable.shape) for part, variable in zip(parts, layer.weights)}
    )
  assert ours == published


@pytest.mark.parametrize('model_id', [18, 34, 50, 101, 152])
def test_the_number_of_parameters_is_the_published_one(model_id):
  model = PublishedResNet(model_id, frozen_stages=-1)
  assert sum(np.prod(v.shape) for v in model.trainable_variables) == NUM_TRAINABLE[model_id]


def test_the_number_of_parameters_of_resnext_with_wide_groups_is_the_published_one():
  options = BottleneckOptions(groups=32, base_width=8)
  model = PublishedResNet(101, frozen_stages=-1, bottleneck=options)
  assert sum(np.prod(v.shape) for v in model.trainable_variables) == 86_742_336


@pytest.mark.parametrize('values', [TINY, TINY_RES2NET], ids=['resnet', 'res2net'])
@pytest.mark.parametrize('height,width', [(64, 64), (63, 90), (33, 35)])
def test_output_sizes_are_rounded_up(values, height, width):
  model = PublishedResNet(**values)
  outputs = model(tf.zeros([1, height, width, 3]))
  assert sorted(outputs) == ['2', '3', '4', '5']
  for level, value in outputs.items():
    stride = 2 ** int(level)
    assert value.shape[1:3] == [-(-height // stride), -(-width // stride)]
    assert value.shape[-1] == model.output_specs[level][-1]


def group_of(variable):
  prefix = variable.name.split('/')[0]
  return prefix if prefix in GROUPS else 'stem'


@pytest.mark.parametrize(
  'frozen_stages,trained',
  [(-1, GROUPS), (0, GROUPS[1:]), (1, GROUPS[2:]), (2, GROUPS[3:]), (3, GROUPS[4:]), (4, ())],
)
@pytest.mark.parametrize('values', [TINY, TINY_RES2NET], ids=['resnet', 'res2net'])
def test_only_stages_that_are_not_frozen_are_trained(values, frozen_stages, trained):
  model = PublishedResNet(**values, frozen_stages=frozen_stages)
  assert {group_of(variable) for variable in model.trainable_variables} == set(trained)
  names = {variable.name.split('/')[-1] for variable in model.trainable_variables}
  assert names == ({'kernel:0', 'gamma:0', 'beta:0'} if trained else set())


def test_norms_that_are_not_trained_leave_all_convolutions_to_train():
  model = PublishedResNet(**TINY, frozen_stages=1, norm=NormOptions(trainable=False))
  names = {variable.name for variable in model.trainable_variables}
  with_norms = PublishedResNet(**TINY, frozen_stages=1).trainable_variables
  assert names == {v.name for v in with_norms if v.name.endswith('kernel:0')}


def test_norms_that_are_not_trained_are_not_watched_and_change_nothing_else():
  images = tf.random.stateless_normal([2, 32, 32, 3], [1, 2])
  results = []
  for trainable in (True, False):
    tf_keras.utils.set_random_seed(0)
    model = PublishedResNet(**TINY, frozen_stages=-1, norm=NormOptions(trainable=trainable))
    with tf.GradientTape() as tape:
      outputs = model(images, training=True)
      loss = tf.add_n([tf.reduce_sum(values**2) for values in outputs.values()])
    watched = {variable.ref() for variable in tape.watched_variables()}
    assert watched == {variable.ref() for variable in model.trainable_variables}
    kernels = [v for v in model.trainable_variables if v.name.endswith('kernel:0')]
    results.append([loss, *tape.gradient(loss, kernels)])
  assert len(results[0]) > 20
  for trained, frozen in zip(*results):
    np.testing.assert_allclose(frozen, trained, rtol=1e-4, atol=1e-3 * np.abs(trained).max())


def statistics(model):
  return [variable.numpy() for variable in model.non_trainable_variables]


def test_norm_eval_keeps_and_uses_the_running_statistics():
  model = PublishedResNet(**TINY, frozen_stages=-1, norm=NormOptions(norm_eval=True))
  images = tf.random.stateless_normal([2, 32, 32, 3], [1, 2])
  before = statistics(model)
  training = model(images, training=True)
  for old, new in zip(before, statistics(model)):
    np.testing.assert_array_equal(old, new)
  for level, value in model(images, training=False).items():
    np.testing.assert_array_equal(training[level], value)


def test_without_norm_eval_batch_statistics_are_used_and_averaged():
  tf_keras.utils.set_random_seed(0)  # With other weights, a dead channel could keep its mean of 0.
  model = PublishedResNet(**TINY, frozen_stages=0, norm=NormOptions(norm_eval=False, momentum=0.9))
  images = 3.0 + tf.random.stateless_normal([2, 32, 32, 3], [1, 2])
  before = statistics(model)
  training = model(images, training=True)
  assert not np.allclose(training['5'], model(images, training=False)['5'])
  changed = [not np.array_equal(old, new) for old, new in zip(before, statistics(model))]
  names = [variable.name for variable in model.non_trainable_variables]
  # The statistics of the frozen stem are not updated.
  assert changed == [not name.startswith(('conv1/', 'bn1/')) for name in names]


def test_the_gradient_reaches_gamma_and_beta_of_frozen_norms():
  model = PublishedResNet(**TINY, frozen_stages=1, norm=NormOptions(norm_eval=True))
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(model(tf.ones([1, 32, 32, 3]), training=True)['5'] ** 2)
  gradients = tape.gradient(loss, model.trainable_variables)
  assert all(gradient is not None for gradient in gradients)
  assert any('gamma' in v.name and np.any(g) for v, g in zip(model.trainable_variables, gradients))


@pytest.mark.parametrize(
  'values,message',
  [
    ({'model_id': 42}, r'model_id in \[18, 34, 50, 101, 152\].*Got: 42'),
    ({'frozen_stages': 5}, 'frozen_stages from -1 to 4.*Got: 5'),
    ({'frozen_stages': -2}, 'frozen_stages from -1 to 4.*Got: -2'),
  ],
)
def test_unknown_options_are_rejected(values, message):
  with pytest.raises(ConfigError, match=message):
    PublishedResNet(**values)


def test_epsilon_of_the_norms_is_the_published_one():
  norms = [
    layer
    for _, layer in published_weights.backbone_layers(PublishedResNet(**TINY))
    if isinstance(layer, tf_keras.layers.BatchNormalization)
  ]
  assert len(norms) == 20
  assert {norm.epsilon for norm in norms} == {1e-5}


def random_model(**values):
  """A backbone in which all residual paths have gradients, and a batch."""
  tf_keras.utils.set_random_seed(0)
  model = PublishedResNet(**values)
  for variable in model.variables:
    if 'gamma' in variable.name or 'conv_offset' in variable.name:
      variable.assign(tf.random.stateless_uniform(variable.shape, [1, 2], 0.2, 0.5))
  return model, tf.random.stateless_normal([1, 40, 48, 3], [3, 4])


def gradients_of(model, images):
  with tf.GradientTape() as tape:
    outputs = model(images, training=True)
    loss = tf.add_n([tf.reduce_mean(tf.cast(x, tf.float32) ** 2) for x in outputs.values()])
  return tape.gradient(loss, model.trainable_variables)


@pytest.mark.parametrize(
  'values,policy,in_graph',
  [(TINY, 'float32', False), (TINY, 'float32', True), (TINY, 'mixed_bfloat16', True)],
  ids=['eager', 'graph', 'bfloat16'],
)
def test_recompute_gives_the_same_gradients(values, policy, in_graph):
  tf_keras.mixed_precision.set_global_policy(policy)
  try:
    (kept, images), (recomputed, _) = (
      random_model(**values, recompute=flag) for flag in (False, True)
    )
  finally:
    tf_keras.mixed_precision.set_global_policy('float32')
  run = tf.function(gradients_of, autograph=False) if in_graph else gradients_of
  for variable, expected, actual in zip(
    kept.trainable_variables, run(kept, images), run(recomputed, images)
  ):
    assert np.any(expected), variable.name
    tolerance = {'float32': 1e-5, 'mixed_bfloat16': 2e-2}[policy] * np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance, err_msg=variable.name)


def test_recompute_runs_only_trained_blocks_twice():
  """The graph of a step contains the convolutions of trained blocks twice, others once."""
  counts = {}
  for recompute in (False, True):
    model, images = random_model(**TINY, frozen_stages=1, recompute=recompute)
    graph = (
      tf.function(lambda x, m=model: gradients_of(m, x), autograph=False)
      .get_concrete_function(images)
      .graph
    )
    counts[recompute] = sum(op.type == 'Conv2D' for op in needed(graph.outputs))
  # ResNet-18 has 1 convolution in the stem, 4 in layer1 and 5 in each of the other stages.
  assert counts == {False: 20, True: 20 + 15}


def needed(outputs):
  """All operations of a graph that these tensors are computed from."""
  queue = [output.op for output in outputs]
  found = set(queue)
  for op in queue:  # The loop appends to the queue.
    inputs = [tensor.op for tensor in op.inputs]
    queue += [op for op in dict.fromkeys(inputs) if op not in found]
    found.update(inputs)
  return found


@pytest.mark.parametrize('frozen_stages', [1, 3])
def test_frozen_stages_have_no_backward_pass(frozen_stages):
  model, images = random_model(**TINY, frozen_stages=frozen_stages)
  with tf.GradientTape() as tape:
    model(images, training=True)
  assert {v.ref() for v in tape.watched_variables()} == {v.ref() for v in model.trainable_variables}
  graph = (
    tf.function(lambda x: gradients_of(model, x), autograph=False)
    .get_concrete_function(images)
    .graph
  )
  kinds = [op.type for op in needed(graph.outputs)]
  trained = 5 * (4 - frozen_stages)
  assert kinds.count('Conv2DBackpropFilter') == trained
  # Two convolutions read the last frozen map, whose gradient is not needed.
  assert kinds.count('Conv2DBackpropInput') == trained - 2
