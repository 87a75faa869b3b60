"""Tests of detectors that start from an ImageNet classifier."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.convert import conversion
from htc_tf.convert.checkpoint_file import Checkpoint
from htc_tf.convert.torchvision_names import TORCHVISION
from htc_tf.convert.variables import named_variables
from htc_tf.errors import CheckpointError
from htc_tf.modeling.backbones import published_resnet
from tests import swin_classifiers, tiny

RESNET = {'published_resnet': {'model_id': 50}}
DETECTORS = {
  'backbone': {
    'published_resnet': {'model_id': 50, 'standardized': True, 'switchable_stages': [4]}
  },
  'decoder': {
    'type': 'recursive_fpn',
    'recursive_fpn': {'num_filters': tiny.CHANNELS, 'aspp_filters': 2},
  },
}


@pytest.fixture(autouse=True)
def _small_resnet(monkeypatch):
  monkeypatch.setitem(published_resnet.SPECS, 50, (True, (1, 1, 1, 1)))


def classifier(**changes):
  """(a model, and the file of a classifier with the values of its backbone)."""
  model = tiny.build(tiny.model(backbone=RESNET), seed=1)
  tensors = {**conversion.published_weights(model, TORCHVISION), **changes}
  present = {name: value for name, value in tensors.items() if value is not None}
  return model, Checkpoint(present, 'torch', 'resnet50.pth', '')


def fresh(overrides):
  """A new model, without the changes that `tiny.build` makes."""
  return tiny.factory.build_htc(tiny.model(**overrides))


def test_both_backbones_of_detectors_compute_what_the_classifier_does():
  source, checkpoint = classifier()
  model = fresh(DETECTORS)
  result = conversion.convert_checkpoint(checkpoint, model)
  images = tf.random.stateless_normal([1, 64, 64, 3], [1, 2])
  expected = source.backbone(images)
  none = {level: tf.zeros([1, 1, 1, 8]) for level in '345'}
  for outputs in (model.backbone(images), model.decoder._feedback_backbone(images, none)):
    for level, value in expected.items():
      tolerance = 1e-3 * np.abs(value).max()
      np.testing.assert_allclose(outputs[level], value, rtol=0, atol=tolerance, err_msg=level)
  # What is left as initialized does not change this; everything else has a value of the file.
  assert {path.split('/')[-2] for path in result.missing if 'weight_diff' not in path} == {
    'switch',
    'pre_context',
    'post_context',
    'offset_s',
    'offset_l',
  }
  second = {path for path in result.filled if path.startswith('decoder/')}
  assert len(second) == sum(path.startswith('backbone/') for path in named_variables(model))


def test_deformable_convolutions_start_without_offsets():
  source, checkpoint = classifier()
  backbone = {'published_resnet': {'model_id': 50, 'deformable_stages': [4]}}
  model = fresh({'backbone': backbone})
  result = conversion.convert_checkpoint(checkpoint, model)
  assert {path.split('/')[-2] for path in result.missing} == {'conv_offset'}
  images = tf.random.stateless_normal([1, 64, 64, 3], [1, 2])
  value = source.backbone(images)['5']
  tolerance = 1e-5 * np.abs(value).max()
  np.testing.assert_allclose(model.backbone(images)['5'], value, rtol=0, atol=tolerance)


def test_other_variables_need_an_entry():
  _, checkpoint = classifier(**{'layer2.0.conv2.weight': None})
  with pytest.raises(CheckpointError, match=r'1 variables without an entry: \S+/conv2/kernel\.'):
    conversion.convert_checkpoint(checkpoint, fresh(DETECTORS))


# Values of mmdetection's SwinTransformer with convert_weights=True, by the window of the model: for
# each map, the first four channels of the last pixel of the first row, and the last four of the
# first pixel of the last row.
MMDET_MAPS = {
  3: [
    [-0.6337, -1.1549, 0.55303, 1.49708, -0.35319, 2.20511, -0.52383, -0.74162],
    [-0.66151, -0.22223, -0.37924, 0.28042, -0.05094, 0.21572, -0.23022, 0.5947],
    [-0.55173, 0.96972, 1.85584, 0.33717, -0.09722, -0.8767, 0.14, 0.79296],
    [1.00026, -0.3601, -1.09831, -1.58391, -0.80354, 0.42764, 1.60016, -0.62038],
  ],
  4: [
    [-0.67063, -1.08394, 0.53719, 1.49093, -0.28125, 2.09365, -0.59342, -0.7132],
    [-0.67826, -0.1852, -0.3112, 0.34873, -0.10158, 0.352, -0.56919, 0.76954],
    [-0.72914, 0.96882, 1.77854, 0.66879, 0.0414, -0.80989, 0.21416, 0.57428],
    [0.97069, -0.68537, -1.11687, -1.41516, -0.7546, 0.1681, 1.7848, -0.67686],
  ],
}
# The same with weights in the names of mmdetection and mmpretrain.
MMPRETRAIN_MAPS = [
  [-0.6337, -1.1549, 0.55303, 1.49708, -0.35319, 2.20511, -0.52383, -0.74162],
  [1.03867, -0.45756, -0.44504, 0.75943, -0.1339, -0.69727, 1.64767, 1.56626],
  [-1.91766, 1.71394, 0.12286, 0.63584, 0.02911, -1.39221, 1.05809, 1.66077],
  [-1.42572, 0.32532, -0.57314, -0.73691, 0.07928, 1.27185, 1.45128, -0.33356],
]
IMAGE = np.sin(np.arange(1, 1 + 30 * 44 * 3) ** 1.5).reshape(1, 30, 44, 3).astype(np.float32)


def swin(**values):
  """A new model with a small transformer, or with a composite of two."""
  published = {**tiny.COMPOSITE_SWIN['published_swin'], **values}
  return fresh({'backbone': {**tiny.COMPOSITE_SWIN, 'published_swin': published}})


@pytest.fixture(name='composite', scope='module')
def _composite():
  """A composite for errors, which leave a model as it is."""
  return swin()


def start(model, tensors=None):
  tensors = swin_classifiers.tensors() if tensors is None else tensors
  return conversion.convert_checkpoint(Checkpoint(tensors, 'torch', 'swin.pth', ''), model)


def shown(maps):
  """What `MMDET_MAPS` has of the maps by level."""
  return [[*maps[level][0, 0, -1, :4], *maps[level][0, -1, 0, -4:]] for level in '2345']


@pytest.mark.parametrize('window', MMDET_MAPS)
def test_a_swin_transformer_computes_what_that_of_mmdetection_does(window):
  model = swin(composite=False, window_size=window)
  result = start(model)
  np.testing.assert_allclose(shown(model.backbone(IMAGE)), MMDET_MAPS[window], rtol=0, atol=3e-5)
  assert {path.split('/')[2] for path in result.missing} == {'norms'}
  tables = [path for path in result.filled if path.endswith('/table')]
  assert len(tables) == 5 and list(result.resized) == (tables if window == 4 else [])
  assert ('5 tables of relative positions, resized' in result.describe()) == (window == 4)


def test_a_transformer_of_mmpretrain_computes_what_that_of_mmdetection_does():
  model = swin(composite=False)
  result = start(model, swin_classifiers.mmpretrain_tensors())
  np.testing.assert_allclose(shown(model.backbone(IMAGE)), MMPRETRAIN_MAPS, rtol=0, atol=3e-5)
  assert {path.split('/')[3] for path in result.missing} == {'0', '1', '2'}  # The norms.


def test_the_last_norm_of_mmpretrain_fills_those_of_both_transformers():
  model = swin()
  result = start(model, swin_classifiers.mmpretrain_tensors())
  embedding = model.backbone.shared_embed(IMAGE)
  for trunk in model.backbone.trunks:
    np.testing.assert_allclose(shown(trunk(embedding)), MMPRETRAIN_MAPS, rtol=0, atol=3e-5)
  assert {'backbone/trunks/0/norms/3/beta', 'backbone/trunks/1/norms/3/beta'} <= {*result.filled}
  assert 'backbone/trunks/1/norms/2/beta' in result.missing


@pytest.mark.parametrize('window', MMDET_MAPS)
def test_both_transformers_of_a_composite_start_from_one_file(window):
  model = swin(window_size=window)
  backbone = model.backbone
  for norm in backbone.trunks[1].norms:  # What the file lacks is left alone.
    norm.gamma.assign(2.0 * norm.gamma)
  result = start(model)
  embedding = backbone.shared_embed(IMAGE)
  for factor, trunk in zip((1, 2), backbone.trunks):
    expected = factor * np.array(MMDET_MAPS[window])
    np.testing.assert_allclose(shown(trunk(embedding)), expected, rtol=0, atol=6e-5)
  assert not any(np.any(link.kernel) for links in backbone.links for link in links)
  of_backbone = {path for path in named_variables(model) if path.startswith('backbone/')}
  assert {*result.filled, *result.missing} == of_backbone
  anew = {path for path in of_backbone if '/norms/' in path or '/links/' in path}
  assert {*result.missing} == anew and len(result.filled) == len({*result.filled})


@pytest.mark.parametrize(
  'changes,message',
  [
    ({'layers.2.blocks.0.norm1.bias': None}, r'1 variables without an entry: \S+/norm1/beta\.'),
    ({'layers.2.blocks.0.extra': np.zeros(1)}, '1 entries without a variable: layers.2.blocks.0.e'),
    ({'absolute_pos_embed': np.zeros(1)}, '1 entries without a variable: absolute_pos_embed'),
  ],
)
def test_what_is_missing_or_left_over_in_a_swin_transformer_is_an_error(
  changes, message, composite
):
  tensors = {**swin_classifiers.tensors(), **changes}
  present = {name: value for name, value in tensors.items() if value is not None}
  with pytest.raises(CheckpointError, match=message):
    start(composite, present)


@pytest.mark.parametrize(
  'size,message',
  [
    ({'depths': (2, 1, 2, 1)}, r'blocks: \[2, 1, 2, 1\] instead of \[2, 1, 1, 1\]\.'),
    ({'num_heads': (1, 2, 4, 8)}, r'attention heads: \[1, 2, 4, 8\] instead of \[1, 2, 2, 4\]\.'),
    ({'embed_dim': 16}, r'channels of the first stage: 16 instead of 8\.'),
  ],
)
def test_a_swin_transformer_of_another_size_is_refused_in_a_few_words(size, message, composite):
  with pytest.raises(CheckpointError, match=f'classifier of another backbone.*{message}'):
    start(composite, swin_classifiers.tensors(**size))


def test_a_classifier_of_another_kind_is_refused(composite):
  message = 'backbone: {} instead of {}'
  with pytest.raises(CheckpointError, match=message.format('Swin', 'ResNet')):
    start(fresh({}))
  with pytest.raises(CheckpointError, match=message.format('ResNet', 'Swin')):
    conversion.convert_checkpoint(classifier()[1], composite)
