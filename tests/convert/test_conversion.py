"""Tests of the conversion between published checkpoints and models."""

import dataclasses
import json

import numpy as np
import pytest

from htc_tf.convert import conversion
from htc_tf.convert.checkpoint_file import Checkpoint
from htc_tf.convert.comparison import Allowed
from htc_tf.convert.mmdet_names import (
  MMDET,
  MMDET_BY_CLASS,
  MMDET_ONE_STAGE_BY_CLASS,
)
from htc_tf.convert.paddle_names import PADDLE
from htc_tf.convert.torchvision_names import MMCLS, TORCHVISION
from htc_tf.convert.variables import named_variables
from htc_tf.errors import CheckpointError
from htc_tf.modeling.backbones import published_resnet
from parity.pack import EXTRACT
from tests import tiny

SOURCES = [MMDET, PADDLE, TORCHVISION, MMCLS]


def checkpoint_of(model, name_map=MMDET, **changes):
  """A published file with the weights of a model.

  Args:
    model: the model.
    name_map: name map of the source.
    **changes: arrays by entry to add or replace; None removes the entry.
  """
  tensors = {**conversion.published_weights(model, name_map), **changes}
  return Checkpoint(
    {name: value for name, value in tensors.items() if value is not None},
    'paddle' if name_map is PADDLE else 'torch',
    'htc.pth',
    '',
  )


def values(model):
  return {path: variable.numpy() for path, variable in named_variables(model).items()}


RESNEXT = {
  'published_resnet': {
    'model_id': 50,
    'groups': 4,
    'base_width': 16,
    'deformable_stages': [2, 3, 4],
  }
}

RES2NET = {
  'published_resnet': {
    'model_id': 50,
    'base_width': 26,
    'scales': 4,
    'deep_stem': True,
    'avg_down': True,
  }
}

DETECTORS = {
  'backbone': {
    'published_resnet': {
      'model_id': 50,
      'standardized': True,
      'switchable_stages': [2, 3, 4],
    }
  },
  'decoder': {
    'type': 'recursive_fpn',
    'recursive_fpn': {'num_filters': tiny.CHANNELS, 'aspp_filters': 2},
  },
}


@pytest.fixture(scope='module')
def original():
  """A model whose values all differ from those of a new model."""
  return randomized(tiny.model())


def randomized(config):
  """A model with random values."""
  built = tiny.build(config, seed=1)
  rng = np.random.default_rng(0)
  for variable in built.variables:
    variable.assign(rng.normal(size=variable.shape))
  return built


@pytest.fixture(name='fresh')
def fresh_fixture():
  return tiny.build(seed=2)


@pytest.mark.parametrize('name_map', SOURCES, ids=lambda name_map: name_map.source)
def test_the_round_trip_is_lossless(original, fresh, name_map):
  checkpoint = checkpoint_of(original, name_map)
  assert conversion.find_name_map(checkpoint) is name_map
  before, expected = values(fresh), values(original)
  result = conversion.convert_checkpoint(checkpoint, fresh)
  for path, value in values(fresh).items():
    filled = name_map.parts is None or path.startswith('backbone/')
    np.testing.assert_array_equal(value, (expected if filled else before)[path], err_msg=path)
    assert (path in result.filled) == filled
  assert not result.dropped + result.missing + result.unused


@pytest.mark.parametrize(
  'name_map', [MMDET, TORCHVISION, MMCLS], ids=lambda name_map: name_map.source
)
@pytest.mark.parametrize(
  'backbone,layers',
  [
    (RESNEXT, {'layer1/0/conv2', 'layer2/0/conv2/conv_offset', 'layer2/0/downsample/0'}),
    (RES2NET, {'stem/5', 'layer1/0/downsample/2', 'layer2/0/downsample/1', 'layer2/1/convs/2'}),
  ],
  ids=['deformable resnext', 'res2net'],
)
def test_the_round_trip_of_other_backbones_is_lossless(name_map, backbone, layers, monkeypatch):
  monkeypatch.setitem(published_resnet.SPECS, 50, (True, (1, 2, 1, 1)))
  config = tiny.model(backbone=backbone)
  expected, copy = randomized(config), tiny.build(config, seed=2)
  checkpoint = checkpoint_of(expected, name_map)
  result = conversion.convert_checkpoint(checkpoint, copy)
  assert conversion.find_name_map(checkpoint) is name_map
  assert {path.rsplit('/', 1)[0] for path in result.filled} >= {f'backbone/{x}' for x in layers}
  assert not result.missing + result.unused
  originals = values(expected)
  for path, value in values(copy).items():
    if path in result.filled:
      np.testing.assert_array_equal(value, originals[path], err_msg=path)
  again = conversion.published_weights(copy, name_map)
  assert all(np.array_equal(again[name], value) for name, value in checkpoint.tensors.items())


def test_the_round_trip_of_detectors_is_lossless(monkeypatch):
  monkeypatch.setitem(published_resnet.SPECS, 50, (True, (1, 1, 1, 1)))
  config = tiny.model(**DETECTORS)
  expected, copy = randomized(config), tiny.build(config, seed=2)
  checkpoint = checkpoint_of(expected)
  assert checkpoint.tensors['backbone.conv1.weight_gamma'].shape == (8, 1, 1, 1)
  assert 'neck.rfp_modules.0.layer2.0.conv2.weight_diff' in checkpoint.tensors
  result = conversion.convert_checkpoint(checkpoint, copy)
  assert len(result.filled) == len(copy.variables)
  originals = values(expected)
  for path, value in values(copy).items():
    np.testing.assert_array_equal(value, originals[path], err_msg=path)


def test_every_variable_has_a_distinct_name(original):
  assert len(named_variables(original)) == len(original.variables)
  assert {id(v) for v in named_variables(original).values()} == {id(v) for v in original.variables}
  assert len(conversion.published_weights(original, MMDET)) == len(original.variables)


def test_half_precision_is_read(original, fresh):
  checkpoint = checkpoint_of(original)
  halves = {name: value.astype(np.float16) for name, value in checkpoint.tensors.items()}
  conversion.convert_checkpoint(dataclasses.replace(checkpoint, tensors=halves), fresh)
  expected = values(original)['backbone/conv1/kernel'].astype(np.float16)
  np.testing.assert_array_equal(values(fresh)['backbone/conv1/kernel'], expected)


def test_only_the_requested_parts_are_filled(original, fresh):
  result = conversion.convert_checkpoint(checkpoint_of(original), fresh, parts=['decoder'])
  assert {path.split('/')[0] for path in result.filled} == {'decoder'}


@pytest.mark.parametrize(
  'changes,message',
  [
    ({'neck.extra.weight': np.zeros(3)}, '1 entries without a variable: neck.extra.weight'),
    ({'backbone.conv1.weight': None}, '1 variables without an entry: backbone/conv1/kernel'),
    (
      {'backbone.bn1.bias': np.zeros(9)},
      r'1 entries of another shape: backbone.bn1.bias \[9\] for backbone/bn1/beta \[8\]',
    ),
    ({'backbone.conv1.weight': np.zeros([8, 3])}, r'another shape: backbone.conv1.weight \[8, 3\]'),
    ({'roi_head.bbox_head.0.fc_cls.weight': np.zeros([4, 15])}, 'another shape: .*fc_cls'),
    ({'roi_head.bbox_head.0.shared_fcs.0.weight': np.zeros([16, 391])}, 'another shape: .*fcs.0'),
  ],
)
def test_mismatches_are_listed_and_change_nothing(original, fresh, changes, message):
  before = values(fresh)
  with pytest.raises(CheckpointError, match=message):
    conversion.convert_checkpoint(checkpoint_of(original, **changes), fresh)
  for path, value in values(fresh).items():
    np.testing.assert_array_equal(value, before[path])


def test_unused_and_missing_entries_can_be_allowed(original, fresh):
  checkpoint = checkpoint_of(
    original, **{'neck.extra.weight': np.zeros(3), 'backbone.conv1.weight': None}
  )
  result = conversion.convert_checkpoint(checkpoint, fresh, Allowed(unused=True, missing=True))
  assert result.unused == ('neck.extra.weight',)
  assert result.missing == ('backbone/conv1/kernel',)
  assert all(name in result.describe() for name in result.unused + result.missing)


def test_another_number_of_classes_drops_the_class_dependent_layers(original):
  other = tiny.build(tiny.model(num_classes=7))
  with pytest.raises(CheckpointError, match='12 entries of another number of classes') as raised:
    conversion.convert_checkpoint(checkpoint_of(original), other)
  ours, published = 7 - 1, tiny.NUM_CLASSES - 1
  counts = f'{published} foreground classes in the file, {ours} in the model; can be skipped'
  assert f'(task.model.num_classes: {counts}' in str(raised.value)
  before, expected = values(other), values(original)
  result = conversion.convert_checkpoint(
    checkpoint_of(original), other, Allowed(class_mismatch=True)
  )
  assert set(result.dropped) == {
    f'cascade/stages/{stage}/{layer}/{part}'
    for stage in range(3)
    for layer in ('box_head/logits', 'mask_predictor/conv_logits')
    for part in ('kernel', 'bias')
  }
  for path, value in values(other).items():
    np.testing.assert_array_equal(value, (before if path in result.dropped else expected)[path])


def test_another_number_of_semantic_classes_drops_the_semantic_logits(original):
  config = tiny.model()
  config.semantic_head.num_classes = 9
  result = conversion.convert_checkpoint(
    checkpoint_of(original), tiny.build(config), Allowed(class_mismatch=True)
  )
  assert set(result.dropped) == {'semantic_head/logits/kernel', 'semantic_head/logits/bias'}


@pytest.mark.parametrize(
  'stages,name_map', [(1, MMDET_ONE_STAGE_BY_CLASS), (2, MMDET_BY_CLASS)], ids=['one', 'two']
)
def test_the_boxes_of_one_class_are_those_that_the_model_has(stages, name_map):
  """The deltas of a single class have the shape of shared ones."""
  config = tiny.model(stages, num_classes=2, box_head={'class_agnostic': False})
  original = tiny.build(config, seed=1)
  copy = tiny.build(config, seed=2)
  result = conversion.convert_checkpoint(checkpoint_of(original, name_map), copy)
  assert not result.missing + result.unused + result.dropped
  for path, value in values(copy).items():
    np.testing.assert_array_equal(value, values(original)[path], err_msg=path)


def test_a_classifier_of_mmcls_starts_an_hrnet():
  """Its backbone has mmdetection's names; its neck widens the branches for the classifier."""
  layers = json.loads((EXTRACT / 'mmdet_htc_hrnetv2p-w18_layers.json').read_text())
  names = [f'{layer}.weight' for layer in layers if layer.startswith('backbone.')]
  neck = ['neck.increase_layers.0.0.conv1.weight', 'head.fc.weight']
  tensors = {name: np.zeros([1], np.float32) for name in [*names, *neck]}
  assert conversion.find_name_map(Checkpoint(tensors, 'torch', 'hrnet.pth', '')) is MMCLS
  for name in names:
    assert MMCLS.find_path(name).name == MMDET.find_path(name).name
  assert all(map(MMCLS.ignores, neck))


def test_a_wrong_width_is_not_another_number_of_classes(original):
  config = tiny.model(num_classes=7)
  config.box_head.fc_dims = 24
  with pytest.raises(CheckpointError, match=r'another shape: .*shared_fcs'):
    conversion.convert_checkpoint(
      checkpoint_of(original), tiny.build(config), Allowed(class_mismatch=True)
    )


def test_checkpoints_of_the_first_version_are_refused(fresh):
  names = ['neck.lateral_convs.0.conv.weight', 'bbox_head.0.fc_cls.weight', 'mask_head.0.upsample']
  tensors = {name: np.zeros([1], np.float32) for name in names}
  with pytest.raises(CheckpointError, match=r'mmdetection 1\.x.*2\.x or 3\.x'):
    conversion.convert_checkpoint(Checkpoint(tensors, 'torch', 'old.pth', ''), fresh)


@pytest.mark.parametrize(
  'source,names',
  [
    ('torch', ['model.weight']),
    ('paddle', ['conv.weight']),
    ('torch', []),
    # RetinaNet of mmdetection 3.x, and Mask R-CNN of Detectron2.
    (
      'torch',
      ['backbone.conv1.weight', 'neck.fpn_convs.0.conv.weight', 'bbox_head.retina_cls.bias'],
    ),
    ('torch', ['backbone.bottom_up.stem.conv1.weight', 'roi_heads.mask_head.predictor.bias']),
  ],
)
def test_unknown_names_are_refused(fresh, source, names):
  checkpoint = Checkpoint({name: np.zeros(1) for name in names}, source, 'htc.pth', '')
  with pytest.raises(CheckpointError, match=r'does not hold a known model.*laihuihui'):
    conversion.convert_checkpoint(checkpoint, fresh)


def test_a_model_of_other_parts_has_no_published_names():
  config = tiny.model()
  config.override({'backbone': {'type': 'resnet', **tiny.MODEL_GARDEN_PARTS['backbone']}})
  with pytest.raises(CheckpointError, match=r'backbone/.* has no mmdet name'):
    conversion.published_weights(tiny.build(config), MMDET)


def with_crop_size(size):
  """A configuration whose box heads read RoI features of this size."""
  return tiny.model(box_head={'crop_size': size}, semantic_head={'crop_size': 14})


@pytest.mark.parametrize('crop_size', [7, 14, 2])
@pytest.mark.parametrize('name_map', [MMDET, PADDLE], ids=lambda name_map: name_map.source)
def test_the_first_linear_layer_reads_the_same_features(name_map, crop_size):
  """A published head flattens [channel, y, x]; ours flattens [y, x, channel]."""
  model = tiny.build(with_crop_size(crop_size))
  rng = np.random.default_rng(0)
  features = rng.normal(size=[tiny.CHANNELS, crop_size, crop_size]).astype(np.float32)
  weight = rng.normal(size=[features.size, 16]).astype(np.float32)  # [in, out]
  if name_map is PADDLE:
    entry = {'bbox_head.head.0.fc6.weight': weight}
  else:
    entry = {'roi_head.bbox_head.0.shared_fcs.0.weight': weight.T}
  conversion.convert_checkpoint(checkpoint_of(model, name_map, **entry), model)
  kernel = values(model)['cascade/stages/0/box_head/fcs/0/kernel']
  channels_last = np.moveaxis(features, 0, -1).ravel()
  np.testing.assert_allclose(channels_last @ kernel, features.ravel() @ weight, rtol=1e-3)


@pytest.mark.parametrize('published, crop_size', [(7, 14), (14, 7), (7, 2)])
@pytest.mark.parametrize('name_map', [MMDET, PADDLE], ids=lambda name_map: name_map.source)
def test_another_crop_size_is_one_error_that_names_both(name_map, published, crop_size):
  checkpoint = checkpoint_of(tiny.build(with_crop_size(published)), name_map)
  model = tiny.build(with_crop_size(crop_size))
  before = values(model)
  message = (
    rf'RoI features of another size. Expected: {crop_size}x{crop_size} .*'
    rf'Got: {published}x{published} bins.*box_head.crop_size={published}\.$'
  )
  with pytest.raises(CheckpointError, match=message):
    conversion.convert_checkpoint(checkpoint, model, Allowed(class_mismatch=True))
  for path, value in values(model).items():
    np.testing.assert_array_equal(value, before[path])


def test_other_channels_are_not_another_crop_size(original):
  config = tiny.model(
    decoder={'published_fpn': {'num_filters': 4 * tiny.CHANNELS}},
    semantic_head={'num_filters': 4 * tiny.CHANNELS},
    mask_head={'num_filters': 4 * tiny.CHANNELS},
  )
  with pytest.raises(CheckpointError, match=r'another shape: .*neck'):
    conversion.convert_checkpoint(checkpoint_of(original), tiny.build(config))
