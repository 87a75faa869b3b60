"""Evaluation of every checkpoint that a training in another process writes."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from absl import logging

from htc_tf.errors import CheckpointError


def evaluate_new_checkpoints(
  directory: str, evaluate: Callable[[str], Any], timeout: float, is_last: Callable[[], bool]
) -> Any:
  """Evaluate new checkpoints of a directory until the last one, or until none appears in time.

  orbit's loop asks whether the training has ended whenever the time is over, and then waits again,
  so that it waits forever for a training that was stopped.

  Args:
    directory: model directory of the training; it may be missing as yet.
    evaluate: function that evaluates the checkpoint with a given prefix.
    timeout: largest number of seconds to wait for a new checkpoint.
    is_last: whether the checkpoint that was just evaluated is that of the last training step.

  Returns:
    The result of the last evaluation.

  Raises:
    CheckpointError: no checkpoint appeared at all.
  """
  state = 'has no checkpoint yet' if tf.io.gfile.isdir(directory) else 'does not exist yet'
  if not tf.train.latest_checkpoint(directory):
    logging.warning(
      'The model directory %s %s. Waiting up to %d seconds (trainer.continuous_eval_timeout) for '
      'the first checkpoint of a training there. If no training is to start, check --model_dir.',
      directory,
      state,
      timeout,
    )
  result, last = None, None
  for last in tf.train.checkpoints_iterator(directory, timeout=timeout):
    result = evaluate(last)
    if is_last():
      logging.info('%s is of the last training step: the evaluation is complete.', last)
      return result
  if last is None:
    raise CheckpointError(
      f'There is no checkpoint to evaluate in {directory}',
      expected=f'a checkpoint within {timeout} seconds (trainer.continuous_eval_timeout)',
      got='none',
      likely_cause='a misspelled --model_dir, or a training that did not start',
    )
  logging.warning(
    'No new checkpoint within %d seconds (trainer.continuous_eval_timeout) after %s, so the '
    'evaluation ends before the last training step. Likely cause: a training that was stopped, or '
    'that takes longer from one checkpoint to the next.',
    timeout,
    last,
  )
  return result
