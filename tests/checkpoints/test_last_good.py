"""Tests of choosing the checkpoint to continue from, and of runs that continue."""

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import time
import uuid

import pytest
import tensorflow as tf

from htc_tf import file_systems, files
from htc_tf.checkpoints import last_good, readability
from htc_tf.errors import CheckpointError, ConfigError, StorageError
from htc_tf.training import run_record
from tests import tiny_records, training_runs

DATA = '.data-00000-of-00001'
NUM_KILLS = 6


@pytest.fixture
def folder(tmp_path):
  """A folder with three checkpoints, whose variable `value` is their step."""
  saved = tf.train.Checkpoint(value=tf.Variable(0.0), more=tf.Variable(tf.zeros([1000])))
  manager = tf.train.CheckpointManager(saved, str(tmp_path), max_to_keep=None)
  for step in (1, 2, 10):
    saved.value.assign(step)
    manager.save(step)
  return tmp_path


def restored_value(folder):
  """The value that TensorFlow restores from a directory; None if it restores nothing."""
  found = tf.train.Checkpoint(value=tf.Variable(-1.0))
  manager = tf.train.CheckpointManager(found, str(folder), max_to_keep=3)
  return None if manager.restore_or_initialize() is None else float(found.value)


def truncate(path):
  os.truncate(path, os.path.getsize(path) // 2)


def names(folder):
  return {path.name for path in folder.iterdir()}


def test_complete_checkpoints_are_not_changed(folder):
  before = {path: path.read_bytes() for path in folder.iterdir()}
  assert last_good.prepare_to_continue(str(folder)) == str(folder / 'ckpt-10')
  assert {path: path.read_bytes() for path in folder.iterdir()} == before
  assert last_good.prepare_to_evaluate(str(folder), 'eval', None) == str(folder / 'ckpt-10')
  assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize('kind', ['absolute', 'relative', 'remote'])
def test_the_corrected_state_file_names_a_checkpoint_of_the_directory(folder, kind, monkeypatch):
  truncate(folder / f'ckpt-10{DATA}')
  monkeypatch.chdir(folder.parent)
  path = {'absolute': str(folder), 'relative': folder.name, 'remote': f'ram://{uuid.uuid4()}/m'}[
    kind
  ]
  if kind == 'remote':
    for name in names(folder):
      files.write_bytes(f'{path}/{name}', (folder / name).read_bytes())
  assert last_good.prepare_to_continue(path) == f'{path}/ckpt-2'
  assert restored_value(path) == 2
  assert 'model_checkpoint_path: "ckpt-2"' in file_systems.read_bytes(f'{path}/checkpoint').decode()


def test_a_checkpoint_that_cannot_be_reached_is_not_damaged(folder, monkeypatch):
  path = f'ram://{uuid.uuid4()}/m'
  for name in names(folder):
    files.write_bytes(f'{path}/{name}', (folder / name).read_bytes())

  def fail(*_):
    raise tf.errors.UnavailableError(None, None, 'no connection')

  with monkeypatch.context() as patch:
    patch.setattr(readability, 'open_reader', fail)
    patch.setattr(tf.io.gfile, 'GFile', fail)
    with pytest.raises(StorageError, match='no connection'):
      last_good.prepare_to_continue(path)
  assert set(file_systems.list_folder(path)) == names(folder)
  assert last_good.prepare_to_continue(path) == f'{path}/ckpt-10'


@pytest.mark.parametrize(
  'damage',
  [
    lambda folder: truncate(folder / f'ckpt-10{DATA}'),
    lambda folder: truncate(folder / 'ckpt-10.index'),
    lambda folder: (folder / 'ckpt-10.index').write_bytes(b''),
    lambda folder: (folder / f'ckpt-10{DATA}').unlink(),
    lambda folder: (folder / f'ckpt-10{DATA}').write_bytes(b'\1' * 4004),
  ],
)
def test_a_damaged_checkpoint_is_renamed(folder, damage, caplog):
  damage(folder)
  with pytest.raises(CheckpointError, match=r'ckpt-10 cannot be read.*such as .*ckpt-2'):
    last_good.prepare_to_evaluate(str(folder), 'eval', None)
  there = {name for name in names(folder) if name.startswith('ckpt-10')}
  assert last_good.prepare_to_continue(str(folder)) == str(folder / 'ckpt-2')
  assert restored_value(folder) == 2.0
  assert {f'damaged-{name}' for name in there} == {
    name for name in names(folder) if name.startswith('damaged')
  }
  assert f'The run continues from {folder / "ckpt-2"}' in caplog.text
  assert last_good.prepare_to_continue(str(folder)) == str(folder / 'ckpt-2')


def test_a_check_gets_the_checkpoint_before_anything_is_changed(folder):
  (folder / 'ckpt-10.index').write_bytes(b'')
  (folder / 'ckpt-11_temp').mkdir()
  before = names(folder)
  seen = []

  def refuse(prefix):
    seen.append(prefix)
    raise ConfigError('another run', got='x')

  with pytest.raises(ConfigError, match='another run'):
    last_good.prepare_to_continue(str(folder), refuse)
  assert seen == [str(folder / 'ckpt-2')]
  assert names(folder) == before


def test_nothing_is_changed_if_no_checkpoint_can_be_read(folder):
  for path in folder.glob('ckpt-*.data-*'):
    path.write_bytes(b'')
  (folder / 'ckpt-11_temp').mkdir()
  (folder / 'ckpt-12.data-00000-of-00001').write_bytes(b'')
  before = names(folder)
  with pytest.raises(CheckpointError, match=r'No checkpoint in .* can be read'):
    last_good.prepare_to_continue(str(folder))
  assert names(folder) == before


@pytest.mark.parametrize(
  'content', [None, '', 'model_checkpoint_path: "ckpt-', 'model_checkpoint_path: "ckpt-11"\n']
)
@pytest.mark.parametrize('mode', ['train', 'eval'])
def test_a_wrong_state_file_is_corrected(folder, content, mode):
  if content is None:
    (folder / 'checkpoint').unlink()
  else:
    (folder / 'checkpoint').write_text(content)
  with contextlib.suppress(ValueError, tf.errors.NotFoundError):
    assert restored_value(folder) is None  # TensorFlow alone loses the checkpoint.
  found = (
    last_good.prepare_to_continue(str(folder))
    if mode == 'train'
    else last_good.prepare_to_evaluate(str(folder), mode, None)
  )
  assert found == str(folder / 'ckpt-10')
  assert restored_value(folder) == 10.0


def test_an_older_checkpoint_that_the_state_file_names_is_evaluated(folder):
  tf.compat.v1.train.update_checkpoint_state(str(folder), 'ckpt-2', ['ckpt-1', 'ckpt-2'])
  assert last_good.prepare_to_evaluate(str(folder), 'eval', None) == str(folder / 'ckpt-2')
  assert restored_value(folder) == 2.0


def test_damage_to_all_checkpoints_is_an_error_and_renames_none(folder):
  for step in (1, 2, 10):
    truncate(folder / f'ckpt-{step}{DATA}')
  before = names(folder)
  with pytest.raises(CheckpointError, match=r'No checkpoint in .* can be read'):
    last_good.prepare_to_continue(str(folder))
  assert names(folder) == before


def test_deleted_checkpoints_are_an_error_until_the_state_file_is_deleted_too(folder):
  for path in folder.glob('ckpt-*'):
    path.unlink()
  with pytest.raises(CheckpointError, match=r'(?s)is not in .*ckpt-10.index.*delete .*checkpoint'):
    last_good.prepare_to_continue(str(folder))
  (folder / 'checkpoint').unlink()
  assert last_good.prepare_to_continue(str(folder)) is None


def test_a_checkpoint_of_another_name_is_left_to_the_trainer(folder):
  for path in folder.glob('ckpt-*'):
    path.rename(folder / path.name.replace('ckpt-', 'own-'))
  (folder / 'checkpoint').write_text('model_checkpoint_path: "own-10"\n')
  assert last_good.prepare_to_continue(str(folder)) is None
  assert restored_value(folder) == 10.0


def test_unfinished_writes_are_removed(folder):
  before = names(folder)
  (folder / 'ckpt-11_temp').mkdir()
  (folder / 'ckpt-11_temp' / 'part-00000-of-00001.data-00000-of-00001').write_bytes(b'half')
  (folder / 'checkpoint.tmp0a1b').write_bytes(b'model_checkpo')
  assert last_good.prepare_to_continue(str(folder)) == str(folder / 'ckpt-10')
  assert names(folder) == before


@pytest.mark.parametrize('steps', [(), (1, 2, 10)])
def test_values_without_an_index_are_renamed(folder, steps):
  """Without `steps` there is no other checkpoint, and the run starts from scratch."""
  for step in {1, 2, 10} - set(steps):
    for path in folder.glob(f'ckpt-{step}.*'):
      path.unlink()
  if not steps:
    (folder / 'checkpoint').unlink()
  (folder / f'ckpt-11{DATA}').write_bytes(b'whole')
  assert last_good.prepare_to_continue(str(folder)) == (
    str(folder / f'ckpt-{steps[-1]}') if steps else None
  )
  assert (folder / f'damaged-ckpt-11{DATA}').read_bytes() == b'whole'
  assert f'ckpt-11{DATA}' not in names(folder)


def test_a_new_run_starts_from_scratch(tmp_path):
  assert last_good.prepare_to_continue(str(tmp_path)) is None
  assert last_good.prepare_to_continue(str(tmp_path / 'missing')) is None
  assert last_good.step_of(None) == 0
  assert last_good.step_of('model/ckpt-20') == 20
  assert last_good.prepare_to_evaluate(str(tmp_path), 'eval', 'published.pth') is None
  assert last_good.prepare_to_evaluate(str(tmp_path), 'continuous_eval', None) is None
  with pytest.raises(CheckpointError, match='no checkpoint to evaluate'):
    last_good.prepare_to_evaluate(str(tmp_path), 'eval', None)


@pytest.fixture(scope='module')
def config(tmp_path_factory):
  folder = tmp_path_factory.mktemp('records')
  return training_runs.write_config(
    folder / 'config.yaml', tiny_records.write(folder), 2, {'task': {'seed': 3}}
  )


def _limit_files(num_bytes):
  signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
  resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))


@pytest.mark.slow
def test_a_run_continues_after_a_full_disk_and_a_truncated_checkpoint(config, tmp_path):
  model_dir = tmp_path / 'model'
  training_runs.train(model_dir, config)
  shutil.copytree(model_dir, tmp_path / 'full')
  training_runs.train(model_dir, config, 'trainer.train_steps=3')
  expected = training_runs.tensors(str(model_dir / 'ckpt-3'))

  # With a limit on the size of files, writes fail as on a full disk, but with another error number.
  limit = os.path.getsize(model_dir / f'ckpt-3{DATA}') * 3 // 4
  status, output = training_runs.finish(
    training_runs.start(
      tmp_path / 'full', config, 'trainer.train_steps=3', preexec_fn=lambda: _limit_files(limit)
    )
  )
  assert status == 2 and 'cannot be used. Expected: a file within the size limit' in output
  assert 'Traceback' not in output
  assert 'ckpt-2' in tf.train.latest_checkpoint(str(tmp_path / 'full'))
  training_runs.train(tmp_path / 'full', config, 'trainer.train_steps=3')
  training_runs.assert_same(training_runs.tensors(str(tmp_path / 'full' / 'ckpt-3')), expected)

  truncate(model_dir / f'ckpt-3{DATA}')
  output = training_runs.train(model_dir, config, 'trainer.train_steps=3')
  assert 'damaged-ckpt-3' in output
  training_runs.assert_same(training_runs.tensors(str(model_dir / 'ckpt-3')), expected)
  assert [start['step'] for start in run_record.read_starts(str(model_dir))] == [0, 2, 2]


def _kill_while_training(process, model_dir, step, delay):
  """The newest readable step of a run that is killed after it saved a step later than `step`.

  Args:
    process: process of the run; it is killed.
    model_dir: model directory of the run.
    step: last step of the earlier runs.
    delay: seconds from the checkpoint to the kill.
  """
  deadline = time.monotonic() + 300
  while _newest_step(model_dir, readable=False) <= step and process.poll() is None:
    assert time.monotonic() < deadline
    time.sleep(0.05)
  time.sleep(delay)
  process.kill()
  training_runs.finish(process)
  assert process.returncode == -signal.SIGKILL
  return _newest_step(model_dir, readable=True)


def _newest_step(model_dir, readable):
  steps = sorted(int(path.stem.rpartition('-')[2]) for path in model_dir.glob('ckpt-*.index'))
  while readable and not readability.is_readable(str(model_dir / f'ckpt-{steps[-1]}')):
    steps.pop()
  return steps[-1] if steps else 0


@pytest.mark.slow
def test_a_run_that_is_killed_repeatedly_continues_from_its_checkpoints(config, tmp_path):
  rng = random.Random(0)
  reached = [0]
  for _ in range(NUM_KILLS):
    process = training_runs.start(
      tmp_path, config, 'trainer.train_steps=100000', stdout=subprocess.DEVNULL
    )
    reached.append(_kill_while_training(process, tmp_path, reached[-1], rng.uniform(0.0, 1.0)))
  end = reached[-1] + 3
  training_runs.train(tmp_path, config, f'trainer.train_steps={end}')
  saved = training_runs.tensors(str(tmp_path / f'ckpt-{end}'))
  iterations = [value for key, value in saved.items() if 'iterations' in key or 'iter/' in key]
  assert [int(value) for value in iterations] == [end]
  assert [start['step'] for start in run_record.read_starts(str(tmp_path))] == reached
  assert reached == sorted(set(reached))
