"""Tests of the checks after a long training."""

import json

import pytest
import tensorflow as tf

from benchmarks.endurance import checks
from benchmarks.endurance.processes import Sample


def _samples(sizes, step=100):
  return [Sample(0, 0, step * index, size) for index, size in enumerate(sizes)]


def test_the_slope_is_that_of_a_line_in_megabytes_per_thousand_steps():
  growing = [500 + 3 * index for index in range(20)]
  assert checks.slope(_samples(growing)) == pytest.approx(30)


@pytest.mark.parametrize('first, kept', [(0, [900] * 2), (3, [900] * 2), (4, [])])
def test_the_first_evaluation_and_what_comes_before_it_are_left_out(first, kept):
  # Evaluated at steps 400 and 800; the memory of the first evaluation grows before step 500.
  samples = _samples([0, 100, 300, 400, 700, 900, 900])[first:]
  found = checks.after_first_evaluation(samples, 400)
  assert [sample.megabytes for sample in found] == kept
  assert checks.after_first_evaluation([], 400) == []


@pytest.mark.parametrize('sizes', [[], [500], [500, 500]])
def test_few_steps_have_no_slope(sizes):
  assert checks.slope(_samples(sizes)) is None


@pytest.fixture(name='folder')
def _folder(tmp_path):
  """The files of a run of eight steps that was killed after step 4 and continued from step 3."""
  folder = tmp_path / 'model'
  for place, name in ((folder, 'ckpt'), (folder / 'best', 'best_ckpt')):
    checkpoint = tf.train.Checkpoint(value=tf.Variable([1.0, 2.0]))
    tf.train.CheckpointManager(checkpoint, str(place), 1, checkpoint_name=name).save(8)
  rows = ''.join(f'{step},1.5,{0.5 if step == 8 else ""}\n' for step in range(1, 9))
  (folder / 'results.csv').write_text('step,total_loss,segm_AP\n' + rows)
  starts = [{'step': 0}, {'step': 3}]
  (folder / 'run.json').write_text(json.dumps({'version': 1, 'starts': starts}))
  for name in ('dataset.json', 'model_card.md', 'params.yaml', 'results.png'):
    (folder / name).write_text('content')
  return folder


def _faults(folder, kills=(4,)):
  return checks.find_faults(str(folder), 8, kills, 1)


def test_a_complete_run_has_no_fault(folder):
  assert _faults(folder) == []


def test_a_missing_or_empty_file_is_found(folder):
  (folder / 'results.png').write_text('')
  (folder / 'run.json').unlink()
  assert _faults(folder) == ['results.png is missing', 'run.json is missing']


@pytest.mark.parametrize(
  'old, new, fault',
  [
    ('5,1.5,\n', '', r'no loss of the steps \[5\]'),
    ('6,1.5', '6,nan', 'not finite'),
    ('8,1.5,0.5', '8,1.5,', 'no evaluation of step 8'),
  ],
)
def test_a_fault_of_the_table_is_found(folder, old, new, fault):
  path = folder / 'results.csv'
  text = path.read_text()
  assert old in text
  path.write_text(text.replace(old, new))
  with pytest.raises(AssertionError, match=fault):
    assert not _faults(folder)


def test_lost_starts_and_steps_are_found(folder):
  assert _faults(folder, kills=()) == ['run.json has 2 starts for 0 kills']
  assert _faults(folder, kills=(6,)) == ['the start after the kill at step 6 continued from step 3']


def test_a_damaged_checkpoint_is_found(folder):
  value = tf.Variable([1.0, float('nan')])
  tf.train.CheckpointManager(
    tf.train.Checkpoint(value=value), str(folder / 'best'), 1, checkpoint_name='best_ckpt'
  ).save(8)
  (fault,) = _faults(folder)
  assert 'best_ckpt-8 is not finite' in fault
  tf.train.CheckpointManager(tf.train.Checkpoint(value=value), str(folder), 1).save(7)
  assert any(f'the last checkpoint is {folder}/ckpt-7' == fault for fault in _faults(folder))
