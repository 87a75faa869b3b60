"""Tests of the folder of the best checkpoint."""

import json
import uuid

import pytest
import tensorflow as tf

from htc_tf import file_systems, files
from htc_tf.checkpoints import last_good
from htc_tf.training.best_checkpoint import Best, BestCheckpoint


@pytest.fixture(params=['local', 'remote'])
def model_dir(request, tmp_path):
  folder = str(tmp_path) if request.param == 'local' else f'ram://{uuid.uuid4()}/model'
  files.write_bytes(f'{folder}/params.yaml', b'task: {}\n')
  return folder


@pytest.fixture
def saved():
  return tf.train.Checkpoint(value=tf.Variable(0.0))


def restored(best):
  found = tf.train.Checkpoint(value=tf.Variable(-1.0))
  found.read(last_good.find(best.folder)).expect_partial()
  return float(found.value)


def offer(best, saved, step, value):
  saved.value.assign(float(step))
  return best.maybe_export_checkpoint(saved, {'segm_AP': value, 'bbox_AP': 0.5}, step)


def test_only_a_better_checkpoint_replaces_the_best_one(model_dir, saved):
  best = BestCheckpoint(model_dir, 'best', 'segm_AP')
  offers = [(10, 0.2), (20, 0.1), (30, 0.2), (40, 0.3), (50, -1.0)]
  assert [offer(best, saved, *pair) for pair in offers] == [True, False, False, True, False]
  assert best.best == Best(40, 0.3)
  assert restored(best) == 40
  names = file_systems.list_folder(best.folder)
  assert [name for name in names if name.endswith('.index')] == ['best_ckpt-40.index']
  assert 'params.yaml' in names
  info = json.loads(file_systems.read_bytes(f'{best.folder}/info.json'))
  assert info == {'segm_AP': 0.3, 'bbox_AP': 0.5, 'best_ckpt_global_step': 40}


def test_a_better_checkpoint_is_saved_without_a_word(model_dir, saved, caplog):
  """A function of TensorFlow would warn that it is deprecated, in the middle of a run's log."""
  best = BestCheckpoint(model_dir, 'best', 'segm_AP')
  offer(best, saved, 10, 0.5)
  offer(best, saved, 20, 0.75)
  BestCheckpoint(model_dir, 'best', 'segm_AP')
  assert not caplog.text
  assert tf.train.latest_checkpoint(best.folder).endswith('/best/best_ckpt-20')


def test_the_best_figure_is_known_after_a_restart(model_dir, saved):
  offer(BestCheckpoint(model_dir, 'best', 'segm_AP'), saved, 10, 0.5)
  again = BestCheckpoint(model_dir, 'best', 'segm_AP')
  assert again.best == Best(10, 0.5)
  assert not offer(again, saved, 20, 0.5)
  assert restored(again) == 10
  assert offer(again, saved, 30, 0.75)
  assert restored(again) == 30


def test_lower_may_be_better(model_dir, saved):
  best = BestCheckpoint(model_dir, 'best', 'segm_AP', 'lower')
  assert [offer(best, saved, *pair) for pair in [(1, 0.5), (2, 0.6), (3, 0.4)]] == [
    True,
    False,
    True,
  ]


@pytest.mark.parametrize('content', [b'', b'[1]', b'{"segm_AP": "x", "best_ckpt_global_step": 1}'])
def test_a_damaged_note_is_set_aside(model_dir, saved, content, caplog):
  files.write_bytes(f'{model_dir}/best/info.json', content)
  best = BestCheckpoint(model_dir, 'best', 'segm_AP')
  assert best.best is None
  assert 'renamed to info.json.damaged' in caplog.text
  assert offer(best, saved, 10, 0.1)


def test_the_best_by_another_figure_is_replaced(model_dir, saved, caplog):
  offer(BestCheckpoint(model_dir, 'best', 'bbox_AP'), saved, 10, 0.9)
  files.write_bytes(f'{model_dir}/best/info.json', b'{"bbox_AP": 1, "best_ckpt_global_step": 10}')
  best = BestCheckpoint(model_dir, 'best', 'segm_AP')
  assert 'was chosen by another figure than segm_AP' in caplog.text
  assert offer(best, saved, 20, 0.1)
  assert restored(best) == 20


def interrupt(*_, **__):
  raise KeyboardInterrupt


def write_part(checkpoint, folder, step):
  """Leave files as a process does that is killed while it saves a checkpoint."""
  del checkpoint
  files.write_bytes(f'{folder}/best_ckpt-{step}_temp/part-0', b'half')
  files.write_bytes(f'{folder}/best_ckpt-{step}.data-00000-of-00001', b'half')
  raise KeyboardInterrupt


@pytest.mark.parametrize('moment', ['while it saves', 'before it notes', 'before it removes'])
def test_after_an_interruption_checkpoint_and_note_are_of_the_same_step(
  model_dir, saved, monkeypatch, moment
):
  """Otherwise the note would name a figure that the checkpoint does not have."""
  best = BestCheckpoint(model_dir, 'best', 'segm_AP')
  offer(best, saved, 10, 0.5)
  if moment == 'while it saves':
    monkeypatch.setattr(
      tf.train.CheckpointManager, 'save', lambda *_, **__: write_part(saved, best.folder, 20)
    )
  elif moment == 'before it notes':
    write = files.write_bytes
    monkeypatch.setattr(
      files, 'write_bytes', lambda path, *a: (interrupt if 'info' in path else write)(path, *a)
    )
  else:
    monkeypatch.setattr(file_systems, 'remove', interrupt)
  with pytest.raises(KeyboardInterrupt):
    offer(best, saved, 20, 0.75)
  monkeypatch.undo()
  again = BestCheckpoint(model_dir, 'best', 'segm_AP')
  step = 20 if moment == 'before it removes' else 10
  assert again.best == Best(step, 0.75 if step == 20 else 0.5)
  assert restored(again) == step
  names = [name for name in file_systems.list_folder(again.folder) if 'ckpt' in name]
  assert {name.rstrip('/').partition('.')[0] for name in names} == {f'best_ckpt-{step}'}
  assert offer(again, saved, 30, 0.8)
  assert restored(again) == 30


@pytest.mark.parametrize('damage', ['removed', 'truncated'])
def test_a_note_without_its_checkpoint_does_not_count(model_dir, saved, damage, caplog):
  """Otherwise an unusable checkpoint would stay the best one."""
  offer(BestCheckpoint(model_dir, 'best', 'segm_AP'), saved, 10, 0.5)
  data = f'{model_dir}/best/best_ckpt-10.data-00000-of-00001'
  if damage == 'removed':
    file_systems.remove(f'{model_dir}/best/best_ckpt-10.index')
  else:
    files.write_bytes(data, b'')
  best = BestCheckpoint(model_dir, 'best', 'segm_AP')
  assert best.best is None
  assert 'does not hold the checkpoint that its info.json names' in caplog.text
  assert offer(best, saved, 20, 0.1)
  assert restored(best) == 20


def test_a_new_run_replaces_the_best_checkpoint_of_an_earlier_one(model_dir, saved, caplog):
  """Otherwise the folder would keep a model of other weights, or of other data."""
  offer(BestCheckpoint(model_dir, 'best', 'segm_AP'), saved, 10, 0.9)
  best = BestCheckpoint(model_dir, 'best', 'segm_AP', is_new_run=True)
  assert 'holds the best checkpoint of an earlier run, of step 10' in caplog.text
  assert offer(best, saved, 5, 0.1)
  assert best.best == Best(5, 0.1)
  assert restored(best) == 5
