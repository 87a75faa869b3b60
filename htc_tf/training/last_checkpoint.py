"""Which checkpoint a run continues from: the last one that can be read.

TensorFlow continues from whatever the state file `checkpoint` names, unread. Where that was cut off
or lost it starts from nothing without a word; where it names a missing file it cannot start.
"""

import glob
import os
import re
import shutil

import tensorflow as tf
from absl import logging

from htc_tf.errors import CheckpointError
from htc_tf.tasks import checkpoint

_PREFIX = 'ckpt'
_INDEX = re.compile(rf'{_PREFIX}-(\d+)\.index$')
_ASIDE = 'damaged'


def prepare_to_continue(model_dir: str) -> str | None:
  """Makes the last readable checkpoint of a directory the one that the trainer continues from.

  Newer ones that cannot be read, and those without an index, are renamed, `ckpt-20.index` to
  `damaged-ckpt-20.index` and so on, and logged; what a killed writer left unfinished is removed.
  The state file is written anew where it does not say what is there. Nothing else may be writing to
  the directory.

  Args:
    model_dir: may be missing.

  Returns:
    The prefix of the checkpoint; None if the run starts anew.

  Raises:
    CheckpointError: there were checkpoints, and none can be read or is there: a run that silently
      started from nothing would lose them from sight.
  """
  _remove_unfinished(model_dir)
  for prefix in _without_index(model_dir):
    _set_aside(prefix)
  prefixes = _on_disk(model_dir)
  damaged = []
  while prefixes and not checkpoint.is_readable(prefixes[-1]):
    damaged.append(prefixes.pop())
  if damaged and not prefixes:
    raise CheckpointError(
      f'No checkpoint in {model_dir} can be read',
      expected='one to continue from',
      got=f'damaged: {[os.path.basename(prefix) for prefix in damaged]}',
      likely_cause='a full or failing disk; restore a copy, or train into another directory',
    )
  for prefix in damaged:
    _set_aside(prefix)
  if damaged:
    logging.error('The run continues from %s', prefixes[-1])
  if not prefixes:
    _check_none_is_missed(model_dir)
    return None
  _correct_state(model_dir, prefixes)
  return prefixes[-1]


def check_latest(model_dir: str) -> None:
  """Raises CheckpointError, which names the last good one, if the newest cannot be read."""
  prefixes = _on_disk(model_dir)
  if prefixes:
    checkpoint.check_readable(prefixes[-1])


def require_for_evaluation(model_dir: str, mode: str, init_checkpoint: str | None) -> None:
  """Raises CheckpointError where an evaluation would be one of random weights.

  Args:
    model_dir: of the run.
    mode: of the training command; 'continuous_eval' waits for checkpoints.
    init_checkpoint: what the model starts from without a checkpoint of the run.
  """
  if mode == 'eval' and not init_checkpoint and not _on_disk(model_dir):
    raise CheckpointError(
      f'There is no checkpoint to evaluate in {model_dir}',
      expected='the directory of a training run, or task.init_checkpoint',
      got='neither',
      likely_cause='a misspelt --model_dir',
    )


def step_of(prefix: str | None) -> int:
  """The step a checkpoint of a training run was written at; 0 for None."""
  return 0 if prefix is None else int(prefix.rpartition('-')[2])


def _on_disk(model_dir: str) -> list[str]:
  """Prefixes of the checkpoints of a directory, oldest first, whatever its state file says."""
  names = tf.io.gfile.listdir(model_dir) if tf.io.gfile.isdir(model_dir) else []
  steps = sorted(int(match[1]) for match in map(_INDEX.match, names) if match)
  return [os.path.join(model_dir, f'{_PREFIX}-{step}') for step in steps]


def _without_index(model_dir: str) -> list[str]:
  """Prefixes of which there are values alone: a writer was killed before it wrote their index."""
  paths = glob.glob(os.path.join(glob.escape(model_dir), f'{_PREFIX}-*.data-*'))
  prefixes = {path.rpartition('.data-')[0] for path in paths}
  return sorted(prefix for prefix in prefixes if not os.path.exists(f'{prefix}.index'))


def _set_aside(prefix: str) -> None:
  folder, name = os.path.split(prefix)
  for path in glob.glob(glob.escape(prefix) + '.*'):
    os.replace(path, os.path.join(folder, f'{_ASIDE}-{os.path.basename(path)}'))
  logging.error(
    '%s cannot be read: renamed to %s-%s.*. Likely cause: a full disk, a run killed as '
    'it wrote, or a copy that was cut off. It can be deleted.',
    prefix,
    _ASIDE,
    name,
  )


def _check_none_is_missed(model_dir: str) -> None:
  """Raises CheckpointError if the state file names a checkpoint, and it is nowhere."""
  named = _named_by_state(model_dir)
  if named and not tf.io.gfile.exists(f'{named}.index'):
    raise CheckpointError(
      f'The checkpoint to continue from is not in {model_dir}',
      expected=f'{named}.index',
      got='no checkpoint',
      likely_cause='checkpoints that were deleted or not copied along; to '
      f'start anew, delete {os.path.join(model_dir, "checkpoint")} too',
    )


def _correct_state(model_dir: str, prefixes: list[str]) -> None:
  """Writes the state file anew if it does not name the newest checkpoint."""
  if _named_by_state(model_dir) == prefixes[-1]:
    return
  logging.warning(
    'The state file %s did not name the newest checkpoint; it does now: %s. '
    'Likely cause: a start that was killed as it wrote; nothing is lost.',
    os.path.join(model_dir, 'checkpoint'),
    prefixes[-1],
  )
  tf.compat.v1.train.update_checkpoint_state(
    model_dir, os.path.basename(prefixes[-1]), list(map(os.path.basename, prefixes))
  )


def _named_by_state(model_dir: str) -> str | None:
  try:
    state = tf.train.get_checkpoint_state(model_dir)
  except ValueError:  # A file without content.
    return None
  return state and state.model_checkpoint_path


def _remove_unfinished(model_dir: str) -> None:
  """Removes what a killed writer was writing: a folder of parts, or the next state file."""
  for name in (f'{_PREFIX}-*_temp', 'checkpoint.tmp*'):
    for path in glob.glob(os.path.join(glob.escape(model_dir), name)):
      logging.warning(
        'Removing %s, whose writing was cut off. What was complete before is as it was.', path
      )
      if os.path.isdir(path):
        shutil.rmtree(path, ignore_errors=True)
      else:
        os.remove(path)
