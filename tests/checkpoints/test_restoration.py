"""Tests of restoring weights, with a report of the variables that do not fit."""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.checkpoints import object_graph, restoration
from htc_tf.errors import CheckpointError
from tests import tiny


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  """(model of two stages, prefix of its checkpoint, which also has an optimizer)."""
  model = tiny.build(tiny.model(2), seed=5)
  prefix = str(tmp_path_factory.mktemp('run') / 'ckpt-3')
  tf.train.Checkpoint(
    model=model, backbone=model.backbone, optimizer=tf_keras.optimizers.SGD()
  ).write(prefix)
  return model, prefix


def test_the_round_trip_is_lossless(saved):
  model, prefix = saved
  other = tiny.build(tiny.model(2), seed=6)
  assert object_graph.compare(prefix, {'model': other}) == object_graph.Mismatch([], [], [])
  restoration.restore(prefix, {'model': other})
  assert len(other.variables) == len(model.variables)
  for new, old in zip(other.variables, model.variables):
    np.testing.assert_array_equal(new, old, old.name)


def test_a_part_of_a_checkpoint_is_restored(saved):
  model, prefix = saved
  other = tiny.build(tiny.model(3, num_classes=7), seed=6)
  restoration.restore(prefix, {'backbone': other.backbone})
  for new, old in zip(other.backbone.variables, model.backbone.variables):
    np.testing.assert_array_equal(new, old, old.name)


def assert_unchanged_by(prefix, model, message):
  """The error message of a restoration that fails and leaves the model unchanged."""
  before = [variable.numpy() for variable in model.variables]
  with pytest.raises(CheckpointError, match=message) as error:
    restoration.restore(prefix, {'model': model})
  for variable, value in zip(model.variables, before):
    np.testing.assert_array_equal(variable, value)
  return str(error.value)


def test_another_number_of_classes_is_reported(saved):
  message = assert_unchanged_by(
    saved[1], tiny.build(tiny.model(2, num_classes=6)), 'has another configuration'
  )
  assert 'other shape: ' in message
  assert (
    'model/cascade/stages/0/box_head/_logits/kernel: (16, 4) in the checkpoint, (16, 6) in '
    'the model' in message
  )
  assert 'not in the checkpoint' not in message


def test_missing_stages_are_reported(saved):
  message = assert_unchanged_by(saved[1], tiny.build(tiny.model(3)), 'another number of classes')
  assert 'not in the checkpoint: ' in message
  assert 'model/cascade/stages/2/box_head' in message


def test_fewer_stages_fit_but_leave_variables_unused(saved):
  mismatch = object_graph.compare(saved[1], {'model': tiny.build(tiny.model(1))})
  assert not mismatch.missing and not mismatch.shapes
  assert mismatch.unused
  assert all('/stages/1/' in line for line in mismatch.unused)


def test_a_missing_branch_is_reported(saved, tmp_path):
  config = tiny.model(1, semantic_head={'enabled': False})
  prefix = str(tmp_path / 'ckpt')
  tf.train.Checkpoint(model=tiny.build(config)).write(prefix)
  message = assert_unchanged_by(prefix, tiny.build(tiny.model(1)), 'has another configuration')
  assert 'model/semantic_head' in message


def test_a_missing_part_is_reported(saved):
  with pytest.raises(CheckpointError, match=r"has no part 'neck'.*backbone.*model"):
    restoration.restore(saved[1], {'neck': saved[0].decoder})


def test_a_directory_stands_for_its_latest_checkpoint(saved):
  model, _ = saved
  folder = os.path.dirname(saved[1])
  manager = tf.train.CheckpointManager(tf.train.Checkpoint(model=model), folder, max_to_keep=2)
  newest = manager.save(checkpoint_number=9)
  assert restoration.resolve(folder) == newest
  assert restoration.resolve(saved[1]) == saved[1]


STATES = {
  'missing': None,
  'empty': b'',
  'truncated': b'model_checkpoint_path: "ckpt-',
  'binary': bytes(range(256)),
  'missing_checkpoint': b'model_checkpoint_path: "ckpt-11"\n',
  'moved': b'model_checkpoint_path: "/old/model/ckpt-10"\n',
}


@pytest.mark.parametrize('content', STATES.values(), ids=STATES)
@pytest.mark.parametrize('name', ['ckpt', 'best_ckpt'])
def test_without_a_usable_state_file_the_newest_checkpoint_is_used_and_logged(
  saved, tmp_path, caplog, name, content
):
  model, _ = saved
  for step in (9, 10):
    tf.train.Checkpoint(model=model).write(str(tmp_path / f'{name}-{step}'))
  tf.train.Checkpoint(model=model).write(str(tmp_path / f'damaged-{name}-11'))
  if content is not None:
    (tmp_path / 'checkpoint').write_bytes(content)
  before = sorted(os.listdir(tmp_path))
  with caplog.at_level('WARNING'):
    assert restoration.resolve(str(tmp_path)) == str(tmp_path / f'{name}-10')
  assert f'the newest checkpoint is used, {tmp_path}/{name}-10' in caplog.text
  assert sorted(os.listdir(tmp_path)) == before
  other = tiny.build(tiny.model(2), seed=6)
  restoration.restore(str(tmp_path), {'model': other})
  np.testing.assert_array_equal(other.variables[0], model.variables[0])


def test_the_state_file_may_name_an_older_checkpoint(saved, tmp_path, caplog):
  for step in (9, 10):
    tf.train.Checkpoint(model=saved[0]).write(str(tmp_path / f'ckpt-{step}'))
  (tmp_path / 'checkpoint').write_text('model_checkpoint_path: "ckpt-9"\n')
  assert restoration.resolve(str(tmp_path)) == str(tmp_path / 'ckpt-9')
  assert 'newest' not in caplog.text


@pytest.mark.parametrize('path', ['nowhere/ckpt-1', 'empty', 'empty/ckpt-1'])
def test_a_missing_checkpoint_is_reported(tmp_path, path):
  (tmp_path / 'empty').mkdir()
  with pytest.raises(CheckpointError, match=f'There is no checkpoint at .*{path}.*no files in'):
    restoration.resolve(str(tmp_path / path))


@pytest.mark.parametrize('path', ['', 'model.onnx'])
def test_an_export_is_not_called_a_run_without_checkpoints(tmp_path, path):
  (tmp_path / 'model.onnx').touch()
  with pytest.raises(CheckpointError, match=r'is an export.*Expected: that model directory'):
    restoration.resolve(str(tmp_path / path))


def test_a_misspelled_checkpoint_is_reported_with_the_files_beside_it(saved):
  with pytest.raises(CheckpointError, match=r'ckpt-3.index'):
    restoration.resolve(saved[1] + '4')


def copied(prefix, folder):
  for path in (f'{prefix}.index', f'{prefix}.data-00000-of-00001'):
    shutil.copy(path, folder)
  return str(folder / os.path.basename(prefix))


@pytest.mark.parametrize('suffix', ['.index', '.data-00000-of-00001'])
@pytest.mark.parametrize('lost', ['half', 'end'])
def test_truncated_checkpoints_are_refused(saved, tmp_path, suffix, lost):
  prefix = copied(saved[1], tmp_path)
  path = prefix + suffix
  size = os.path.getsize(path)
  os.truncate(path, size // 2 if lost == 'half' else size - 8)
  assert_unchanged_by(prefix, tiny.build(tiny.model(2)), 'cannot be read.*truncated')


def test_damaged_values_leave_the_model_unchanged(saved, tmp_path):
  prefix = copied(saved[1], tmp_path)
  with open(f'{prefix}.data-00000-of-00001', 'r+b') as file:
    file.seek(os.path.getsize(file.name) // 2)
    file.write(b'damaged')
  assert_unchanged_by(prefix, tiny.build(tiny.model(2)), 'cannot be read')


def test_missing_shards_are_refused(saved, tmp_path):
  prefix = copied(saved[1], tmp_path)
  os.remove(f'{prefix}.data-00000-of-00001')
  assert_unchanged_by(prefix, tiny.build(tiny.model(2)), 'cannot be read')
