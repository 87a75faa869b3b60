"""Check that a checkpoint can be read: every entry exists and matches its checksum."""

import errno
import os
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from htc_tf import file_systems
from htc_tf.errors import CheckpointError

# Exceptions of TensorFlow for a damaged checkpoint; IndexError if the data end early.
READ_ERRORS = (tf.errors.OpError, ValueError, IndexError)

# In keys of the copies of weights that an optimizer with exponential averages keeps.
_AVERAGE_SLOT = '/average/'


def check_readable(prefix: str) -> None:
  """Read every entry once, so that a truncated file cannot leave a model half restored.

  Args:
    prefix: path of the checkpoint without its `.index` or `.data-*` suffix.

  Raises:
    CheckpointError: a file is missing, truncated or changed. The message names the newest readable
      checkpoint beside it, if there is one.
  """
  try:
    _read_all(prefix)
  except READ_ERRORS as error:
    raise unreadable(prefix, error) from error


def is_readable(prefix: str) -> bool:
  """Whether every entry of the checkpoint can be read.

  Raises:
    CheckpointError: permission is missing, which does not mean that the checkpoint is damaged.
    StorageError: the checkpoint is remote, and its file system cannot be read at the moment.
  """
  try:
    _read_all(prefix)
  except READ_ERRORS as error:
    _check_reachable(prefix)
    if _is_denied(error):
      raise unreadable(prefix, error) from error
    return False
  return True


def unreadable(prefix: str, error: Exception) -> CheckpointError:
  """The exception for a checkpoint that TensorFlow failed to read with `error`."""
  if _is_denied(error):
    return CheckpointError(
      f'{prefix} cannot be read',
      expected='permission to read its files',
      got=str(error).split('\n', 1)[0],
      likely_cause='a checkpoint that another user wrote (see ls -l)',
    )
  good = next(_readable_beside(prefix), None)
  return CheckpointError(
    f'{prefix} cannot be read',
    got=str(error).split('\n', 1)[0],
    expected=f'a complete checkpoint, such as {good}' if good else None,
    likely_cause='a truncated copy, or a file that is not a TensorFlow 2 checkpoint',
  )


def _is_denied(error: Exception) -> bool:
  return os.strerror(errno.EACCES) in str(error)


def open_reader(prefix: str) -> Any:
  """A reader of a checkpoint.

  `tf.train.load_checkpoint` first asks whether the prefix is a folder. `ram://` wrongly says yes.
  """
  return tf.compat.v1.train.NewCheckpointReader(prefix)


def has_averages(prefix: str) -> bool:
  """Whether the model in a checkpoint has exponential averages, and the optimizer the weights.

  See `training.averages.Averages`.
  """
  return any(_AVERAGE_SLOT in key for key in open_reader(prefix).get_variable_to_shape_map())


def _read_all(prefix: str) -> None:
  reader = open_reader(prefix)
  for key in reader.get_variable_to_shape_map():
    reader.get_tensor(key)


def _check_reachable(prefix: str) -> None:
  """Read a byte of each file of a remote checkpoint: an interrupted connection is no damage."""
  if not file_systems.is_remote(prefix):
    return
  for path in file_systems.glob_in(file_systems.dirname(prefix), f'{os.path.basename(prefix)}.*'):
    with file_systems.open_file(path, 'rb') as file:
      file.read(1)


def _readable_beside(prefix: str) -> Iterator[str]:
  """Readable checkpoints of the same run, the highest step first."""
  run = prefix.rpartition('-')[0]
  found = (
    [path.removesuffix('.index') for path in file_systems.glob(f'{run}-*.index')] if run else []
  )
  steps = {path: path.rpartition('-')[2] for path in found if path != prefix}
  numbered = {path: int(step) for path, step in steps.items() if step.isdecimal()}
  yield from filter(is_readable, sorted(numbered, key=numbered.__getitem__, reverse=True))


def files_of(prefix: str) -> list[str]:
  """Paths of the files of a checkpoint: its index and its data, in alphabetical order."""
  folder, name = file_systems.dirname(prefix), os.path.basename(prefix)
  return [
    *file_systems.glob_in(folder, f'{name}.data-*'),
    *file_systems.glob_in(folder, f'{name}.index'),
  ]
