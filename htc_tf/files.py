"""Files and folders that are written completely or not at all."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from htc_tf import file_errors, interruption
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
    with (
      _named_in_errors(path),
      interruption.undone_at_end(lambda: os.remove(temporary)),
    ):
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
    with file_errors.as_input_errors():
      temporary.mkdir(parents=True)
    with (
      _named_in_errors(folder),
      interruption.undone_at_end(lambda: shutil.rmtree(temporary, ignore_errors=True)),
    ):
      yield temporary
      if folder.is_dir():
        folder.rmdir()
      temporary.rename(folder)
  finally:
    shutil.rmtree(temporary, ignore_errors=True)


def check_new_folder(path: PathLike, likely_cause: str = '') -> None:
  """Raise InputError if a new folder cannot be made at `path`, so that long work need not start.

  It cannot if `path` exists, also as a broken link, and is not an empty folder, or if the nearest
  folder above it takes no new folder.

  Args:
    path: the folder to write to.
    likely_cause: likely reason why it is in use, for the error message.
  """
  folder = pathlib.Path(path)
  if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
    raise InputError(
      f'{folder} cannot be written',
      expected='a new folder',
      got='a folder with files in it' if folder.is_dir() else 'a file',
      likely_cause=likely_cause or 'the output of an earlier run; name another folder',
    )
  with file_errors.as_input_errors():
    _check_parents(pathlib.Path(os.path.abspath(folder)))


def _check_parents(folder: pathlib.Path) -> None:
  """Raise OSError unless the nearest existing path above a folder is one that takes new folders."""
  nearest = next(parent for parent in folder.parents if os.path.lexists(parent))
  try:
    os.rmdir(tempfile.mkdtemp(prefix='.', dir=nearest))
  except OSError as error:
    error.filename = str(folder)
    raise


@contextlib.contextmanager
def _named_in_errors(path: pathlib.Path) -> Iterator[None]:
  """A context that adds a path to errors of writing, such as a full disk, which name no file."""
  try:
    yield
  except OSError as error:
    if error.errno is not None and error.filename is None:
      error.filename = str(path)
    raise


def write_bytes(path: PathLike, content: bytes) -> None:
  """Write a file completely or not at all; a file that already has `content` is not touched."""
  path = pathlib.Path(path)
  if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
    return
  with replaced_when_written(path) as temporary:
    temporary.write_bytes(content)
