"""Tests of the initial weights: files, folders and directories, with the same and other classes."""

import dataclasses
import json
import logging
import os

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.checkpoints import converted_model, model_directory, restoration
from htc_tf.convert import conversion, stem
from htc_tf.convert.class_rows import Classes
from htc_tf.convert.coco_categories import COCO_CATEGORIES
from htc_tf.convert.mmdet_names import MMDET
from htc_tf.convert.variables import named_variables
from htc_tf.data.dataset_info import Category, DatasetInfo, SemanticInfo
from htc_tf.errors import CheckpointError
from htc_tf.modeling import factory
from htc_tf.tasks.initialization import initialize
from tests import swin_classifiers, tiny, tiny_checkpoints

OLD = Classes(('cat', 'dog', 'bird'), 'instances')
NEW = Classes(('dog', 'fox', 'cat', 'emu'), 'instances')
LOGITS = 'cascade/stages/1/box_head/logits/'
MASKS = 'cascade/stages/1/mask_predictor/conv_logits/'
SEMANTIC = 'semantic_head/logits/'


def config(classes, **overrides):
  semantic = {'num_classes': len(classes.names) + 1} | overrides.pop('semantic_head', {})
  return tiny.model(num_classes=len(classes.names) + 1, semantic_head=semantic, **overrides)


def values(model):
  return {path: variable.numpy() for path, variable in named_variables(model).items()}


def write_directory(folder, model, classes, model_config):
  """A model directory of a training run."""
  params = model_directory.load_experiment('', 'htc_nuclei')
  params.task.model = model_config
  model_directory.save_params(str(folder), params)
  entries = tuple(Category(i, name, i) for i, name in enumerate(classes.names, 1))
  semantic = SemanticInfo(classes.semantic_source, len(entries) + 1)
  info = DatasetInfo('x', 0, 0, 0, entries, semantic, include_masks=True, annotation_file='')
  model_directory.save_dataset_info(str(folder), info)
  checkpoint = tf.train.Checkpoint(model=model, **model.checkpoint_items)
  tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1).save(7)


@pytest.fixture(scope='module')
def old():
  """A model of the old classes."""
  return tiny.build(config(OLD), seed=1)


@pytest.fixture
def folder(old, tmp_path):
  write_directory(tmp_path, old, OLD, config(OLD))
  return str(tmp_path)


@pytest.mark.parametrize('frozen_stages,number', [(-1, 0), (0, 1), (1, 5)])
def test_only_random_weights_that_stay_so_are_warned_of(frozen_stages, number, caplog):
  caplog.set_level(logging.INFO, logger='absl')
  backbone = {'published_resnet': {'frozen_stages': frozen_stages}}
  initialize(tiny.build(config(OLD, backbone=backbone)), None, 'all', OLD)
  warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
  assert len(warnings) == bool(number)
  if number:
    assert warnings[0].startswith(f'{number} convolutions are frozen with random weights')
    assert '--weights=FILE' in warnings[0] and 'frozen_stages=-1' in warnings[0]
  assert 'The training starts from random weights' in caplog.text


@pytest.mark.parametrize(
  'backbone,advice',
  [
    (
      {'published_resnet': {'frozen_stages': 1}},
      'task.model.backbone.published_resnet.frozen_stages=-1, '
      'task.model.backbone.published_resnet.norm_eval=false, task.freeze_backbone=false.',
    ),
    (
      {'published_resnet': {'frozen_stages': 1, 'train_norms': False}},
      'task.model.backbone.published_resnet.frozen_stages=-1, '
      'task.model.backbone.published_resnet.norm_eval=false, '
      'task.model.backbone.published_resnet.train_norms=true, task.freeze_backbone=false.',
    ),
    (
      {
        **tiny.COMPOSITE_SWIN,
        'published_swin': {**tiny.COMPOSITE_SWIN['published_swin'], 'frozen_stages': 1},
      },
      'task.model.backbone.published_swin.frozen_stages=-1, task.freeze_backbone=false.',
    ),
    (tiny.MODEL_GARDEN_PARTS['backbone'] | {'type': 'resnet'}, 'task.freeze_backbone=false.'),
  ],
  ids=['published_resnet', 'untrained_norms', 'published_swin', 'resnet'],
)
def test_the_warning_of_frozen_random_weights_names_the_backbone(backbone, advice, caplog):
  changes = {'decoder': {'type': 'fpn', 'fpn': {'num_filters': tiny.CHANNELS}}}
  configured = config(OLD, backbone=backbone, **(changes if 'resnet' in backbone else {}))
  model = factory.build_htc(configured, freeze_backbone='resnet' in backbone)
  initialize(model, None, 'all', OLD, configured.backbone)
  (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
  assert warning.endswith(f'or train them: {advice}')


def assert_rows_by_name(before, after, source):
  """Background, cat and dog come from the source; fox and emu keep their initial values.

  Rows of the new and the old model, without and with the background: dog is 1 and 2, cat 3 and 1.
  """
  for name, axis, rows in (
    (LOGITS, -1, [(0, 0), (1, 2), (2, None), (3, 1), (4, None)]),
    (SEMANTIC, -1, [(0, 0), (1, 2), (2, None), (3, 1), (4, None)]),
    (MASKS, 0, [(0, 1), (1, None), (2, 0), (3, None)]),
  ):
    for part in ('kernel', 'bias'):
      new, initial, old_value = (
        np.moveaxis(state[name + part], axis, 0) for state in (after, before, source)
      )
      for row, old_row in rows:
        expected = initial[row] if old_row is None else old_value[old_row]
        np.testing.assert_array_equal(new[row], expected, err_msg=f'{name}{part} {row}')


def test_the_same_classes_keep_everything(old, folder, caplog):
  caplog.set_level(logging.INFO, logger='absl')
  model = tiny.build(config(OLD), seed=2)
  initialize(model, folder, 'all', OLD)
  after, source = values(model), values(old)
  assert all(np.array_equal(after[path], source[path]) for path in source)
  assert 'has the classes of the training data' in caplog.text


def test_other_classes_keep_the_rows_of_the_same_name(old, folder, caplog):
  caplog.set_level(logging.INFO, logger='absl')
  model = tiny.build(config(NEW), seed=2)
  before = values(model)
  initialize(model, folder, 'all', NEW)
  after, source = values(model), values(old)
  assert_rows_by_name(before, after, source)
  for path, value in source.items():
    if value.shape == after[path].shape and 'logits' not in path:
      np.testing.assert_array_equal(after[path], value)
  assert '3 classes: cat, dog, bird' in caplog.text
  assert 'has 4: dog, fox, cat, emu' in caplog.text


def test_the_same_number_of_other_classes_is_matched_by_name_too(old, folder):
  """By position, a cat would start as a dog."""
  model = tiny.build(config(OLD), seed=2)
  initialize(model, folder, 'all', Classes(('dog', 'cat', 'bird'), 'instances'))
  after, source = values(model), values(old)
  np.testing.assert_array_equal(after[LOGITS + 'bias'], source[LOGITS + 'bias'][[0, 2, 1, 3]])
  np.testing.assert_array_equal(after[MASKS + 'bias'], source[MASKS + 'bias'][[1, 0, 2]])


def test_semantic_classes_of_another_kind_start_anew(folder, caplog):
  caplog.set_level(logging.INFO, logger='absl')
  model = tiny.build(config(OLD), seed=2)
  before = values(model)
  initialize(model, folder, 'all', OLD._replace(semantic_source='stuff_maps'))
  np.testing.assert_array_equal(values(model)[SEMANTIC + 'kernel'], before[SEMANTIC + 'kernel'])
  assert 'semantic_head/logits/kernel starts anew' in caplog.text


def test_semantic_classes_of_an_unknown_kind_are_kept(old, folder):
  """The folder of a published checkpoint that was converted earlier does not name the kind."""
  path = os.path.join(folder, 'dataset.json')
  info = DatasetInfo.load(path)
  dataclasses.replace(info, semantic=None).save(path)
  model = tiny.build(config(OLD), seed=2)
  initialize(model, folder, 'all', OLD._replace(semantic_source='stuff_maps'))
  after, source = values(model), values(old)
  assert all(np.array_equal(after[name], source[name]) for name in source)


def test_layers_of_the_same_number_of_unknown_classes_are_kept(old, folder, caplog):
  os.remove(os.path.join(folder, 'dataset.json'))
  model = tiny.build(config(OLD, semantic_head={'num_classes': 7}), seed=2)
  initialize(model, folder, 'all', OLD)
  after, source = values(model), values(old)
  for name in source:
    assert np.array_equal(after[name], source[name]) == (not name.startswith(SEMANTIC)), name
  assert 'start anew: semantic_head/logits/kernel, semantic_head/logits/bias' in caplog.text


def test_unknown_classes_are_named(folder, caplog):
  model = tiny.build(config(NEW), seed=2)
  initialize(model, folder, 'all', None)
  assert 'unknown' in caplog.text
  assert LOGITS + 'kernel' in caplog.text


def test_another_model_is_refused_and_nothing_is_assigned(folder):
  model = tiny.build(config(NEW, box_head={'fc_dims': 24}), seed=2)
  before = values(model)
  with pytest.raises(CheckpointError, match=r'another configuration.*box_head/fcs/0/kernel'):
    initialize(model, folder, 'all', NEW)
  after = values(model)
  assert all(np.array_equal(after[path], before[path]) for path in before)


def test_a_bare_checkpoint_of_other_classes_is_refused(old, tmp_path):
  path = tf.train.Checkpoint(model=old).save(str(tmp_path / 'ckpt'))
  with pytest.raises(CheckpointError, match=r'another configuration.*other shape'):
    initialize(tiny.build(config(NEW)), path, 'all', NEW)


def test_a_model_without_the_branches_of_the_checkpoint_is_filled(old, folder):
  plain = config(NEW, semantic_head={'enabled': False}, include_mask=False)
  model = tiny.build(plain, seed=2)
  initialize(model, folder, 'all', NEW)
  np.testing.assert_array_equal(
    values(model)['rpn_head/conv/kernel'], values(old)['rpn_head/conv/kernel']
  )


def write_published(path, model):
  """A file of mmdetection with the weights of a model."""
  return write_tensors(path, 'state_dict', conversion.published_weights(model, MMDET))


def write_tensors(path, top_key, tensors):
  """A file of torch.save with a state dictionary under a key."""
  state, storages = {}, {}
  for index, (name, value) in enumerate(tensors.items()):
    key = str(index)
    storages[key] = np.ascontiguousarray(value, np.float32).tobytes()
    state[name] = tiny_checkpoints.tensor(tiny_checkpoints.storage(key, value.size), value.shape)
  path.write_bytes(tiny_checkpoints.torch_zip({top_key: state}, storages))
  return str(path)


def test_a_published_file_of_coco_gives_its_rows_to_classes_of_the_same_name(tmp_path, caplog):
  caplog.set_level(logging.INFO, logger='absl')
  published = tiny.build(tiny.model(num_classes=81), seed=1)
  path = write_published(tmp_path / 'htc.pth', published)
  classes = Classes(('zebra', 'robot', 'person'), 'stuff_maps')
  model = tiny.build(tiny.model(num_classes=4), seed=2)
  before = values(model)
  initialize(model, path, 'all', classes)
  after, source = values(model), values(published)
  zebra = list(COCO_CATEGORIES.values()).index('zebra') + 1
  for part in ('kernel', 'bias'):
    new, initial, old_value = (v[LOGITS + part] for v in (after, before, source))
    np.testing.assert_array_equal(new[..., 1], old_value[..., zebra])
    np.testing.assert_array_equal(new[..., 2], initial[..., 2])
    np.testing.assert_array_equal(new[..., 3], old_value[..., 1])
    np.testing.assert_array_equal(new[..., 0], old_value[..., 0])
  np.testing.assert_array_equal(
    after[MASKS + 'bias'][[0, 2]], source[MASKS + 'bias'][[zebra - 1, 0]]
  )
  # The stuff maps have the same number of classes in both.
  np.testing.assert_array_equal(after[SEMANTIC + 'bias'], source[SEMANTIC + 'bias'])
  assert 'has 3: zebra, robot, person' in caplog.text


@pytest.mark.parametrize(
  'overrides', [{'semantic_head': {'enabled': False}}, {'include_mask': False}]
)
def test_a_published_file_fills_a_model_without_one_of_its_branches(tmp_path, overrides, caplog):
  caplog.set_level(logging.INFO, logger='absl')
  published = tiny.build(tiny.model(num_classes=81), seed=1)
  path = write_published(tmp_path / 'htc.pth', published)
  model = tiny.build(tiny.model(num_classes=81, **overrides), seed=2)
  initialize(model, path, 'all', Classes(tuple(COCO_CATEGORIES.values()), 'stuff_maps'))
  after, source = values(model), values(published)
  assert all(np.array_equal(after[name], source[name]) for name in after)
  assert 'entries without a variable: ' in caplog.text


def test_a_published_file_of_another_depth_is_refused(tmp_path):
  published = tiny.build(tiny.model(num_classes=81), seed=1)
  path = write_published(tmp_path / 'htc.pth', published)
  model = tiny.build(tiny.model(2, num_classes=81), seed=2)
  with pytest.raises(CheckpointError, match='entries without a variable'):
    initialize(model, path, 'all', None)


def test_a_composite_starts_from_the_file_of_a_swin_transformer_and_from_its_folder(tmp_path):
  path = write_tensors(tmp_path / 'swin.pth', 'model', swin_classifiers.tensors())
  params = model_directory.load_experiment('', 'htc_nuclei')
  params.task.model = tiny.model(1, backbone=tiny.COMPOSITE_SWIN)
  folder = str(tmp_path / 'converted')
  converted_model.write_model_directory(path, params, folder)
  record = json.loads((tmp_path / 'converted' / 'conversion.json').read_text())
  assert record['source']['kind'] == 'microsoft/Swin-Transformer'
  of_file, of_folder = (factory.build_htc(params.task.model) for _ in range(2))
  initialize(of_file, path, 'all', NEW)
  initialize(of_folder, folder, 'backbone', NEW)
  for expected, found in zip(of_file.backbone.variables, of_folder.backbone.variables):
    np.testing.assert_array_equal(found, expected)
  first, second = (trunk.stages[0].blocks[1].fc1.kernel for trunk in of_file.backbone.trunks)
  np.testing.assert_array_equal(first, second)
  weight = swin_classifiers.tensors()['layers.0.blocks.1.mlp.fc1.weight']
  np.testing.assert_array_equal(first, weight.T)


@pytest.mark.parametrize('modules', ['all', ['backbone', 'decoder']])
def test_a_model_of_other_channels_starts_from_a_model_of_rgb_images(old, folder, modules, caplog):
  caplog.set_level(logging.INFO, logger='absl')
  pixels = {'mean': [100.0], 'stddev': [50.0]}
  model = tiny.build(config(OLD, input_size=[64, 64, 1], pixels=pixels), seed=2)
  before = values(model)
  initialize(model, folder, modules, OLD)
  after, source = values(model), values(old)
  np.testing.assert_allclose(
    after[stem.PATHS[0]], source[stem.PATHS[0]].sum(2, keepdims=True), rtol=1e-6
  )
  assert 'each of the 1 channels gets the mean' in caplog.text
  assert f'{stem.PATHS[0]} is frozen' in caplog.text and 'frozen_stages=-1' in caplog.text
  for path, value in after.items():
    if path != stem.PATHS[0]:
      is_loaded = modules == 'all' or path.split('/')[0] in modules
      np.testing.assert_array_equal(value, (source if is_loaded else before)[path])


@pytest.mark.parametrize('is_file', [True, False])
def test_only_an_adapted_stem_that_is_frozen_gets_a_warning(old, folder, is_file, tmp_path, caplog):
  path = write_published(tmp_path / 'htc.pth', old) if is_file else folder
  pixels = {'mean': [100.0] * 4, 'stddev': [50.0] * 4}
  counts = []
  for frozen_stages, channels in ((0, 3), (-1, 4), (0, 4)):
    overrides = {} if channels == 3 else {'input_size': [64, 64, 4], 'pixels': pixels}
    backbone = {'published_resnet': {'frozen_stages': frozen_stages}}
    model = tiny.build(config(OLD, backbone=backbone, **overrides), seed=2)
    caplog.clear()
    initialize(model, path, 'all', OLD)
    counts.append(sum('is frozen' in line for line in caplog.messages))
  assert counts == [0, 0, 1]


def test_a_run_and_a_loaded_model_need_the_stem_of_their_own_channels(folder):
  pixels = {'mean': [100.0], 'stddev': [50.0]}
  model = tiny.build(config(OLD, input_size=[64, 64, 1], pixels=pixels))
  with pytest.raises(CheckpointError, match=r'other shape.*conv1/kernel.*7, 7, 3.*7, 7, 1'):
    restoration.restore(folder, {'model': model})
