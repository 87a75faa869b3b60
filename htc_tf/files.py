"""Files and folders that are written completely or not at all."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator

from htc_tf.errors import InputError

PathLike = str | os.PathLike


@contextlib.contextmanager
def replaced_when_written(path: PathLike) -> Iterator[pathlib.Path]:
  """A temporary file that replaces `path` if the block succeeds.

  Readers see the old file or the new one, never part of a file. Missing parent folders are created.
  If the block raises, the temporary file is removed and `path` is left unchanged.

  Args:
    path: the file to write.

  Yields:
    The path to write to. It is unique to this process, keeps the suffix of `path`, and starts with
    a dot, so that no glob pattern meant for `path` matches it.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = path.with_name(f'.{path.stem}.{os.getpid()}.part{path.suffix}')
  try:
    yield temporary
    os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder_when_written(path: PathLike, likely_cause: str = '') -> Iterator[pathlib.Path]:
  """A temporary folder that is renamed to `path` if the block succeeds.

  If the block raises, the temporary folder is removed. A killed process leaves a folder
  `.<name>.<pid>.part` beside `path`, which may be deleted.

  Args:
    path: a folder that does not exist yet, or an empty one.
    likely_cause: likely reason why `path` is in use, for the error message.

  Yields:
    The folder to write to.

  Raises:
    InputError: `path` is in use, or the folder cannot be created.
  """
  check_new_folder(path, likely_cause)
  folder = pathlib.Path(os.path.abspath(path))
  temporary = folder.with_name(f'.{folder.name}.{os.getpid()}.part')
  shutil.rmtree(temporary, ignore_errors=True)  # Left by a killed process with this id.
  try:
    _create(temporary)
    yield temporary
    if folder.is_dir():
      folder.rmdir()
    temporary.rename(folder)
  finally:
    shutil.rmtree(temporary, ignore_errors=True)


def check_new_folder(path: PathLike, likely_cause: str = '') -> None:
  """Raise InputError if `path` exists and is not an empty folder.

  Args:
    path: the folder to write to.
    likely_cause: likely reason why it is in use, for the error message.
  """
  folder = pathlib.Path(path)
  if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
    raise InputError(
      f'{folder} cannot be written',
      expected='a new folder',
      got='a folder with files in it' if folder.is_dir() else 'a file',
      likely_cause=likely_cause or 'the output of an earlier run; name another folder',
    )


def _create(folder: pathlib.Path) -> None:
  try:
    folder.mkdir(parents=True)
  except OSError as error:
    raise InputError(
      f'{folder} cannot be created',
      expected='a parent folder with write permission',
      got=error.strerror or str(error),
      likely_cause='a file in the place of a parent folder, or missing permissions',
    ) from error


def write_bytes(path: PathLike, content: bytes) -> None:
  """Write a file completely or not at all; a file that already has `content` is not touched."""
  path = pathlib.Path(path)
  if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
    return
  with replaced_when_written(path) as temporary:
    temporary.write_bytes(content)
