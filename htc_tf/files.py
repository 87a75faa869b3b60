"""Files and folders that are written completely or not at all.

Paths may be remote; see `file_systems`.
"""

import contextlib
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence

from htc_tf import file_errors, file_systems, interruption
from htc_tf.errors import InputError, StorageError
from htc_tf.file_systems import PathLike


@contextlib.contextmanager
def replaced_when_written(path: PathLike) -> Iterator[str]:
  """A temporary file that replaces `path` if the block succeeds.

  Readers see the old file or the new one, never part of a file. Missing parent folders are created.
  If the block raises, the temporary file is removed and `path` is left unchanged.

  Args:
    path: the file to write.

  Yields:
    The path to write to, as `temporary_path` gives it.
  """
  folder = file_systems.dirname(path)
  if folder:
    file_systems.make_folders(folder)
  temporary = temporary_path(path)
  try:
    with _named_in_errors(path), _undone_at_end(temporary, file_systems.remove):
      yield temporary
      file_systems.replace(temporary, path)
  except BaseException:
    with contextlib.suppress(FileNotFoundError, StorageError):
      file_systems.remove(temporary)
    raise


def temporary_path(path: PathLike) -> str:
  """A path beside `path` that no other file and no other process has.

  It keeps the suffix of `path`, and starts with a dot, so that no glob pattern meant for `path`
  matches it. A killed process leaves the file, which may be deleted.
  """
  stem, suffix = os.path.splitext(os.path.basename(path))
  return os.path.join(file_systems.dirname(path), f'.{stem}.{_unique()}.part{suffix}')


def set_aside(path: str) -> str:
  """Rename a damaged file to the first free name of `NAME.damaged`, `NAME.damaged2`, and so on.

  Returns:
    The new name, without its folder.
  """
  renamed, number = f'{path}.damaged', 1
  while file_systems.exists(renamed):
    number += 1
    renamed = f'{path}.damaged{number}'
  file_systems.replace(path, renamed)
  return os.path.basename(renamed)


def reserve(paths: Sequence[str]) -> bool:
  """Create empty local files, unless one of them exists: then none is left, and False returned."""
  made: list[str] = []
  try:
    for path in paths:
      with open(path, 'xb'):
        made.append(path)
  except BaseException as error:
    for path in made:
      os.remove(path)
    if isinstance(error, FileExistsError):
      return False
    raise
  return True


@contextlib.contextmanager
def new_folder_when_written(
  path: PathLike, likely_cause: str = '', last: str = ''
) -> Iterator[str]:
  """A temporary folder that is renamed to `path` if the block succeeds.

  If the block raises, the temporary folder is removed. A killed process leaves a folder
  `.<name>.<id>.part` beside `path`, which may be deleted. Remote file systems cannot rename a
  folder at once; there, the files are moved one by one, `last` at the end. An existing folder stays
  in its place: its temporary folder is `.<id>.part` inside it, and what is written there is moved
  up, `last` at the end.

  Args:
    path: a folder that does not exist yet, or an empty one, also by a link.
    likely_cause: likely reason why `path` is in use, for the error message.
    last: name of the file without which readers ignore the folder.

  Yields:
    The folder to write to.

  Raises:
    InputError: `path` is in use, or the folder cannot be created.
  """
  check_new_folder(path, likely_cause)
  is_remote = file_systems.is_remote(path)
  folder = file_systems.without_final_slash(path) if is_remote else os.path.abspath(path)
  # An existing folder may be a link or a mounted disk, which cannot be replaced, or that in which a
  # shell is working, which would then see nothing.
  is_there = not is_remote and os.path.isdir(folder)
  if is_there:
    temporary = os.path.join(folder, f'.{_unique()}.part')
  else:
    name = f'.{os.path.basename(folder)}.{_unique()}.part'
    temporary = os.path.join(file_systems.dirname(folder), name)
  try:
    with file_errors.as_input_errors():
      file_systems.make_folders(temporary)
    with _named_in_errors(folder), _undone_at_end(temporary, file_systems.remove_folder):
      yield temporary
      if is_remote:
        _move_files(temporary, folder, last)
      elif is_there:
        _move_up(temporary, folder, last)
      else:
        os.rename(temporary, folder)
  finally:
    file_systems.remove_folder(temporary)


def check_new_folder(path: PathLike, likely_cause: str = '') -> None:
  """Raise InputError if a new folder cannot be made at `path`, so that long work need not start.

  It cannot if `path` is empty, if it exists, also as a broken link, and is not an empty folder, or
  if the nearest local folder, which is `path` itself if it exists, takes no new folder.

  Args:
    path: the folder to write to.
    likely_cause: likely reason why it is in use, for the error message.
  """
  file_systems.check_given(path, 'The path of the output folder')
  is_folder, is_remote = file_systems.is_folder(path), file_systems.is_remote(path)
  is_there = file_systems.exists(path) if is_remote else os.path.lexists(path)
  names = file_systems.list_folder(path) if is_folder else []
  if names or (is_there and not is_folder):
    raise InputError(
      f'{path} cannot be written',
      expected='a new folder',
      # A killed command may have left a hidden one, which `ls` does not show.
      got=f'a folder with files in it, such as {names[0]}' if is_folder else 'a file',
      likely_cause=likely_cause or 'the output of an earlier run; name another folder',
    )
  if not is_remote:
    with file_errors.as_input_errors():
      _check_parents(os.path.abspath(path))


def _check_parents(folder: str) -> None:
  """Raise OSError unless a folder, or the nearest path above it that exists, takes new folders."""
  nearest = folder
  while not os.path.lexists(nearest):
    nearest = os.path.dirname(nearest)
  try:
    os.rmdir(tempfile.mkdtemp(prefix='.', dir=nearest))
  except OSError as error:
    error.filename = folder
    raise


@contextlib.contextmanager
def _named_in_errors(path: PathLike) -> Iterator[None]:
  """A context that adds a path to errors of writing, such as a full disk, which name no file."""
  try:
    yield
  except OSError as error:
    if error.errno is not None and error.filename is None:
      error.filename = os.fspath(path)
    raise


def _undone_at_end(
  path: str, remove: Callable[[str], None]
) -> contextlib.AbstractContextManager[None]:
  """A context in which a temporary file or folder is removed if the process ends by force."""
  return interruption.undone_at_end(lambda: remove(path))


def write_bytes(path: PathLike, content: bytes) -> None:
  """Write a file completely or not at all; a file that already has `content` is not touched."""
  if (
    file_systems.is_file(path)
    and file_systems.size(path) == len(content)
    and file_systems.read_bytes(path) == content
  ):
    return
  with (
    replaced_when_written(path) as temporary,
    file_systems.open_file(temporary, 'wb') as file,
  ):
    file.write(content)


def _unique() -> str:
  """Part of a temporary name that nothing else has."""
  # The id of the process is not enough: those of containers and of machines that share a folder
  # may be the same, and a process may write a file in two threads.
  return uuid.uuid4().hex[:12]


def _move_up(source: str, target: str, last: str) -> None:
  """Move what is in a folder into the one that it is in; if this fails, nothing is moved.

  Raises:
    InputError: the target has got other files in the meantime.
  """
  others = sorted(set(os.listdir(target)) - {os.path.basename(source)})
  if others:
    raise InputError(
      f'{target} cannot be written',
      expected='a folder that stays empty',
      got=f'{len(others)} files or folders in it, such as {others[0]}',
      likely_cause='another command with the same output at the same time',
    )
  names = sorted(os.listdir(source), key=lambda name: (name == last, name))
  try:
    for name in names:
      os.rename(os.path.join(source, name), os.path.join(target, name))
  except BaseException:
    for name in names:
      with contextlib.suppress(FileNotFoundError):
        os.rename(os.path.join(target, name), os.path.join(source, name))
    raise


def _move_files(source: str, target: str, last: str) -> None:
  """Move the files of a remote folder; if this fails, no file stays in the target."""
  names = sorted(_files_below(source), key=lambda name: (name == last, name))
  try:
    for name in names:
      path = os.path.join(target, name)
      file_systems.make_folders(file_systems.dirname(path))
      file_systems.replace(os.path.join(source, name), path)
  except BaseException:
    file_systems.remove_folder(target)
    raise


def _files_below(folder: str, prefix: str = '') -> Iterator[str]:
  """Paths of all files, relative to the folder."""
  for name in file_systems.list_folder(os.path.join(folder, prefix)):
    relative = os.path.join(prefix, name)
    if file_systems.is_folder(os.path.join(folder, relative)):
      yield from _files_below(folder, relative)
    else:
      yield relative
