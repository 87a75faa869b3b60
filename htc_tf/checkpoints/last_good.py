"""The checkpoint that a run continues from: the newest one that can be read.

TensorFlow continues from the checkpoint that its state file `checkpoint` names, without checking
it. If that file is truncated or missing, TensorFlow silently starts from random weights; if it
names a missing checkpoint, TensorFlow cannot start.
"""

import os
import re
from collections.abc import Callable

import tensorflow as tf
from absl import logging

from htc_tf import file_systems, files
from htc_tf.checkpoints import readability
from htc_tf.errors import CheckpointError, InputError

_PREFIX = 'ckpt'
_STATE_FILE = 'checkpoint'
_INDEX = re.compile(rf'{_PREFIX}-(\d+)\.index$')
_NUMBERED_INDEX = re.compile(r'(.+)-(\d+)\.index$')
_DAMAGED_PREFIX = 'damaged'


def has_checkpoint(model_dir: str) -> bool:
  """Whether a directory has a checkpoint, readable or not."""
  return bool(_on_disk(model_dir))


def prepare_to_continue(
  model_dir: str, check: Callable[[str | None], None] = lambda _: None
) -> str | None:
  """Make the newest readable checkpoint the one that the trainer continues from.

  Newer checkpoints that cannot be read are renamed (`ckpt-20.index` to `damaged-ckpt-20.index`) and
  logged, as are checkpoints without an index. Unfinished files of a killed process are removed. The
  state file is rewritten if it does not match the checkpoints. No other process may write to the
  directory at the same time.

  Args:
    model_dir: the model directory; it may be missing.
    check: function that gets the result before anything is changed, and may raise an error.

  Returns:
    The prefix of the checkpoint, or None if the run starts from scratch.

  Raises:
    CheckpointError: there were checkpoints, but none can be read. Starting from scratch would
      silently discard them.
  """
  prefixes = _on_disk(model_dir)
  damaged = []
  while prefixes and not readability.is_readable(prefixes[-1]):
    damaged.append(prefixes.pop())
  if damaged and not prefixes:
    raise CheckpointError(
      f'No checkpoint in {model_dir} can be read',
      expected='a checkpoint to continue from',
      got=f'damaged: {[os.path.basename(prefix) for prefix in damaged]}',
      likely_cause='a full or failing disk; restore a copy, or train into another directory',
    )
  if not prefixes:
    _check_none_was_deleted(model_dir)
  check(prefixes[-1] if prefixes else None)
  _remove_unfinished(model_dir)
  for prefix in (*_without_index(model_dir), *damaged):
    _mark_damaged(prefix)
  if damaged:
    logging.error('The run continues from %s', prefixes[-1])
  if not prefixes:
    return None
  _correct_state_file(model_dir, prefixes)
  return prefixes[-1]


def prepare_to_evaluate(model_dir: str, mode: str, init_checkpoint: str | None) -> str | None:
  """The prefix of the checkpoint that an evaluation restores; None if it waits for the first one.

  TensorFlow restores the checkpoint that the state file names, and keeps random weights without a
  word if that file is missing or wrong. It is therefore corrected if it names no checkpoint that
  exists.

  Args:
    model_dir: the model directory.
    mode: mode of the training command; 'continuous_eval' waits for checkpoints, and leaves the
      state file to the training.
    init_checkpoint: checkpoint from which a run without checkpoints starts.

  Raises:
    CheckpointError: the checkpoint cannot be read, or the evaluation would measure random weights.
    InputError: the model directory is a file.
  """
  if tf.io.gfile.exists(model_dir) and not tf.io.gfile.isdir(model_dir):
    raise InputError(
      f'The model directory {model_dir} cannot be used',
      expected='the directory of a training run',
      got='a file',
      likely_cause='the path of a checkpoint file instead of its folder',
    )
  prefixes = _on_disk(model_dir)
  if mode == 'continuous_eval':
    return prefixes[-1] if prefixes else None
  if not prefixes:
    best = _named_by_state_file(model_dir)
    if best and tf.io.gfile.exists(f'{best}.index'):  # A folder of the best checkpoint.
      readability.check_readable(best)
      return best
    if not init_checkpoint:
      raise CheckpointError(
        f'There is no checkpoint to evaluate in {model_dir}',
        expected='the directory of a training run, or task.init_checkpoint',
        got='neither',
        likely_cause='a misspelled --model_dir',
      )
    _check_none_was_deleted(model_dir)
    return None
  named = _named_by_state_file(model_dir)
  used = named if named in prefixes else prefixes[-1]
  readability.check_readable(used)
  if used != named:
    _correct_state_file(model_dir, prefixes)
  return used


def find(folder: str) -> str | None:
  """The checkpoint of a directory for reading, or None; the directory is not changed.

  This is the checkpoint that the state file names. If the file is missing or useless, which is
  logged, it is the one with the highest step.

  Args:
    folder: directory with checkpoints.
  """
  named = _named_by_state_file(folder)
  if named and tf.io.gfile.exists(f'{named}.index'):
    return named
  found = all_in(folder)
  if not found:
    return None
  logging.warning(
    'The state file %s %s: the newest checkpoint is used, %s',
    os.path.join(folder, _STATE_FILE),
    f'names {named}, which does not exist' if named else 'is missing or cannot be read',
    found[-1],
  )
  return found[-1]


def all_in(folder: str) -> list[str]:
  """Prefixes of the checkpoints of a directory, oldest first; the directory is not changed.

  Args:
    folder: directory with checkpoints, also one of the best checkpoint; it may be missing.
  """
  if not file_systems.is_folder(folder):
    return []
  return _on_disk(folder) or _of_other_names(folder)


def step_of(prefix: str | None) -> int:
  """The training step at which a checkpoint was written; 0 for None."""
  return 0 if prefix is None else int(prefix.rpartition('-')[2])


def _on_disk(model_dir: str) -> list[str]:
  """Prefixes of the checkpoints in a directory, oldest first; the state file is ignored."""
  names = file_systems.list_folder(model_dir) if file_systems.is_folder(model_dir) else []
  steps = sorted(int(match[1]) for match in map(_INDEX.match, names) if match)
  return [os.path.join(model_dir, f'{_PREFIX}-{step}') for step in steps]


def _of_other_names(folder: str) -> list[str]:
  """Prefixes of checkpoints with a step and another name, such as `best_ckpt-20`, oldest first."""
  found = map(_NUMBERED_INDEX.match, tf.io.gfile.listdir(folder))
  names = [match for match in found if match and not match[1].startswith(f'{_DAMAGED_PREFIX}-')]
  names.sort(key=lambda match: int(match[2]))
  return [os.path.join(folder, f'{match[1]}-{match[2]}') for match in names]


def _without_index(model_dir: str) -> list[str]:
  """Prefixes with values but no index, left by a process that was killed before it wrote one."""
  paths = file_systems.glob_in(model_dir, f'{_PREFIX}-*.data-*')
  prefixes = {path.rpartition('.data-')[0] for path in paths}
  return sorted(prefix for prefix in prefixes if not file_systems.exists(f'{prefix}.index'))


def _mark_damaged(prefix: str) -> None:
  """Rename the files of a checkpoint so that TensorFlow no longer finds it."""
  folder, name = file_systems.dirname(prefix), os.path.basename(prefix)
  for path in file_systems.glob_in(folder, f'{name}.*'):
    file_systems.replace(path, os.path.join(folder, f'{_DAMAGED_PREFIX}-{os.path.basename(path)}'))
  logging.error(
    '%s cannot be read: renamed to %s-%s.*. Likely cause: a full disk, a run that was killed while '
    'saving, or an incomplete copy. It can be deleted.',
    prefix,
    _DAMAGED_PREFIX,
    name,
  )


def _check_none_was_deleted(model_dir: str) -> None:
  """Raise CheckpointError if the state file names a checkpoint that does not exist."""
  named = _named_by_state_file(model_dir)
  if named and not file_systems.exists(f'{named}.index'):
    raise CheckpointError(
      f'The checkpoint to continue from is not in {model_dir}',
      expected=f'{named}.index',
      got='no checkpoint',
      likely_cause='checkpoints that were deleted or not copied; to start from scratch, delete '
      f'{os.path.join(model_dir, _STATE_FILE)} too',
    )


def _correct_state_file(model_dir: str, prefixes: list[str]) -> None:
  """Rewrite the state file if it does not name the newest checkpoint."""
  if _named_by_state_file(model_dir) == prefixes[-1]:
    return
  logging.warning(
    'The state file %s did not name the newest checkpoint and was corrected to %s. Likely cause: a '
    'process that was killed while writing it; nothing is lost.',
    os.path.join(model_dir, _STATE_FILE),
    prefixes[-1],
  )
  write_state_file(model_dir, prefixes)


def write_state_file(folder: str, prefixes: list[str]) -> None:
  """Write the state file of a folder, which names its checkpoints for TensorFlow.

  Args:
    folder: folder of the checkpoints.
    prefixes: their prefixes; the last one is the one to restore.
  """
  # TensorFlow takes names for relative to the folder, which may be moved or remote. Its own
  # function for this file is deprecated.
  names = [os.path.basename(prefix) for prefix in prefixes]
  lines = [f'model_checkpoint_path: "{names[-1]}"']
  lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
  files.write_bytes(os.path.join(folder, _STATE_FILE), ('\n'.join(lines) + '\n').encode())


def _named_by_state_file(model_dir: str) -> str | None:
  try:
    state = tf.train.get_checkpoint_state(model_dir)
  except ValueError:  # An empty file.
    return None
  return state and state.model_checkpoint_path


def _remove_unfinished(model_dir: str) -> None:
  """Remove the temporary folders and state files that a killed process left."""
  for name in (f'{_PREFIX}-*_temp', 'checkpoint.tmp*'):
    for path in file_systems.glob_in(model_dir, name):
      logging.warning(
        'Removing %s, which a killed process did not finish. Complete checkpoints are unchanged.',
        path,
      )
      if file_systems.is_folder(path):
        file_systems.remove_folder(path)
      else:
        file_systems.remove(path)
