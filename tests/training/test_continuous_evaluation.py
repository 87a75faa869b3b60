"""Tests of the evaluation of checkpoints that another process writes."""

import re

import pytest
import tensorflow as tf

from htc_tf.errors import CheckpointError
from htc_tf.training.continuous_evaluation import evaluate_new_checkpoints

TIMEOUT_S = 1.5


@pytest.fixture
def save(tmp_path):
  """A function that writes a checkpoint of a step, and returns its prefix."""
  step = tf.Variable(0, dtype=tf.int64)
  manager = tf.train.CheckpointManager(tf.train.Checkpoint(step=step), str(tmp_path), max_to_keep=3)
  return lambda number: manager.save(checkpoint_number=number)


def never():
  return False


@pytest.mark.parametrize('name, state', [('missing', 'does not exist yet'), ('.', 'has no checkp')])
def test_without_a_checkpoint_it_says_so_and_ends_with_an_error(tmp_path, caplog, name, state):
  directory = str(tmp_path / name)
  with pytest.raises(CheckpointError, match=r'no checkpoint to evaluate.*continuous_eval_timeout'):
    evaluate_new_checkpoints(directory, pytest.fail, TIMEOUT_S, never)
  (record,) = caplog.records[:1]
  assert re.search(f'{directory} {state}.*Waiting up to 1 seconds', record.message)
  assert not (tmp_path / 'missing').exists()


def test_new_checkpoints_are_evaluated_until_none_appears_in_time(tmp_path, save, caplog):
  later = [save(1)]
  evaluated = []

  def evaluate(prefix):
    evaluated.append(prefix)
    if len(evaluated) == 1:
      later.append(save(2))
    return len(evaluated)

  assert evaluate_new_checkpoints(str(tmp_path), evaluate, TIMEOUT_S, never) == 2
  assert evaluated == later
  assert 'does not exist' not in caplog.text and 'has no checkpoint' not in caplog.text
  assert f'after {later[-1]}, so the evaluation ends before' in caplog.text


def test_it_ends_after_the_last_training_step_without_waiting(tmp_path, save):
  save(5)
  results = iter([0.5])
  # With this timeout, waiting for another checkpoint would not end.
  assert evaluate_new_checkpoints(str(tmp_path), lambda _: next(results), 1e6, lambda: True) == 0.5
