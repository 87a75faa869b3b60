"""Operations on files that are on this machine or on a remote file system of TensorFlow.

A path with a scheme, such as `gs://bucket/train.json`, is remote: TensorFlow reads and writes it.
TensorFlow is imported only for such a path. `os`, `glob` and `pathlib` take it for a local path;
`pathlib` even removes one of the slashes, so that a folder `gs:` appears in the working directory.
Outside this module and `files`, only code whose paths were checked by `check_local` may use them.
"""

import contextlib
import fnmatch
import glob as local_glob
import os
import re
import shutil
from collections.abc import Iterator
from typing import IO, Any

from htc_tf.errors import InputError, StorageError

PathLike = str | os.PathLike

_SCHEME = re.compile(r'([A-Za-z][\w.+-]*)://')
_ONE_SLASH = re.compile(r'([A-Za-z][\w.+-]+:)/(?!/)')


def is_remote(path: PathLike) -> bool:
  """Whether a path has a scheme, such as `gs://`."""
  return _SCHEME.match(os.fspath(path)) is not None


def check_given(path: PathLike | None, name: str) -> None:
  """Raise InputError if a path is empty: it would stand for the working directory or a default.

  Args:
    path: the path; nothing is checked if it is None.
    name: name of the argument, for the message.
  """
  if path is not None and not os.fspath(path):
    raise InputError(
      f'{name} is empty',
      expected='a path',
      got="''",
      likely_cause='a variable of the shell that is not set; . is the working directory',
    )


def check_usable(path: PathLike | None, name: str) -> None:
  """Raise InputError if a path is on a file system that TensorFlow cannot use.

  No file system is accessed.

  Args:
    path: the path; nothing is checked if it is None.
    name: name of the argument, for the message.
  """
  if path is None:
    return
  path = os.fspath(path)
  cut = _ONE_SLASH.match(path)
  if cut and not os.path.isdir(cut[1]):
    raise InputError(
      f'{name} cannot be used',
      expected=f'a local path, or two slashes after {cut[1]}',
      got=path,
      likely_cause='a misspelled URL, or a pathlib.Path, which removes a slash; pass a str',
    )
  if is_remote(path):
    _check_scheme(path, f'{name} cannot be used')


def check_local(path: PathLike | None, name: str) -> None:
  """Raise InputError if a path is remote, for an argument that supports only local paths.

  Args:
    path: the path; nothing is checked if it is None.
    name: name of the argument, for the message.
  """
  if path is not None and is_remote(path):
    raise InputError(
      f'{name} cannot be on a remote file system',
      expected='a local path; copy inputs to this machine first, and outputs to the remote file '
      'system afterwards, for example with gcloud storage cp -r',
      got=os.fspath(path),
    )
  check_usable(path, name)


def dirname(path: PathLike) -> str:
  """As `os.path.dirname`; `ram://` for `ram://file`, where the latter cuts the scheme."""
  path = os.fspath(path)
  scheme = _SCHEME.match(path)
  parent = os.path.dirname(path)
  return scheme[0] if scheme and len(parent) < len(scheme[0]) else parent


def without_final_slash(path: PathLike) -> str:
  """A path without slashes at its end, unless it is a root such as `/` or `ram://`."""
  path = os.fspath(path)
  scheme = _SCHEME.match(path)
  start = scheme.end() if scheme else 1
  return path[:start] + path[start:].rstrip('/')


def same_folder(first: str, second: str) -> bool:
  """Whether two paths name the same folder; empty: the working directory.

  Local paths may be links, or written in different ways; remote ones are compared by their names.
  """
  if is_remote(first) or is_remote(second):
    return without_final_slash(first) == without_final_slash(second)
  return os.path.realpath(first or '.') == os.path.realpath(second or '.')


def in_real_folder(path: PathLike) -> str:
  """A path without links among its folders, to compare it with others; a remote one as it is."""
  path = os.fspath(path)
  if is_remote(path):
    return path
  return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def exists(path: PathLike) -> bool:
  """Whether there is a file or a folder.

  Raises:
    StorageError: a remote file system cannot be read. All functions here raise it instead of the
      errors of TensorFlow; it is an OSError, as those of local files.
  """
  if not is_remote(path):
    return os.path.exists(path)
  found = bool(_call('exists', path))
  return found and (not _is_in_memory(path) or _exists_in_memory(path))


def is_folder(path: PathLike) -> bool:
  """Whether there is a folder; in object storage also if it only has files with its prefix."""
  if not is_remote(path):
    return os.path.isdir(path)
  # `isdir` would return False if the file system cannot be reached.
  return exists(path) and bool(_call('stat', path).is_directory)


def is_file(path: PathLike) -> bool:
  """Whether there is a file that is no folder."""
  if not is_remote(path):
    return os.path.isfile(path)
  return exists(path) and not is_folder(path)


def size(path: PathLike) -> int:
  """Size of a file in bytes."""
  if not is_remote(path):
    return os.path.getsize(path)
  return int(_call('stat', path).length)


def list_folder(path: PathLike) -> list[str]:
  """Sorted names of the files and folders in a folder."""
  if not is_remote(path):
    return sorted(os.listdir(path))
  listed = _call('listdir', path)
  if _is_in_memory(path):
    listed = _children_in_memory(path)
  # Object storage may list a folder with a slash at the end, and itself as an empty name.
  return sorted({name.rstrip('/') for name in listed} - {''})


def glob(pattern: str) -> list[str]:
  """Paths that match a pattern, by the rules of Python's `glob`: `*` matches no hidden name."""
  if not is_remote(pattern):
    return local_glob.glob(pattern)
  found = [path.rstrip('/') for path in _call('glob', pattern)]
  return sorted(path for path in set(found) if not _matches_hidden(path, pattern))


def glob_in(folder: PathLike, name_pattern: str) -> list[str]:
  """Sorted paths in a folder, whose own name is no pattern, with names that match a pattern."""
  folder = os.fspath(folder)
  if not is_remote(folder):
    return sorted(local_glob.glob(os.path.join(local_glob.escape(folder), name_pattern)))
  names = fnmatch.filter(list_folder(folder), name_pattern) if is_folder(folder) else []
  return [os.path.join(folder, name) for name in names if not _matches_hidden(name, name_pattern)]


@contextlib.contextmanager
def open_file(path: PathLike, mode: str) -> Iterator[IO[Any]]:
  """A file; text is UTF-8.

  Args:
    path: path of the file.
    mode: 'r', 'rb', 'w' or 'wb'. To replace a file completely or not at all, see `files`.
  """
  if not is_remote(path):
    with open(path, mode, encoding=None if 'b' in mode else 'utf-8') as file:
      yield file
    return
  with _stated_errors(path), _tensorflow().io.gfile.GFile(os.fspath(path), mode) as file:
    yield file


def read_bytes(path: PathLike) -> bytes:
  """The content of a file."""
  with open_file(path, 'rb') as file:
    return file.read()


def make_folders(path: PathLike) -> None:
  """Create a folder and its parents; an existing folder is accepted."""
  if not is_remote(path):
    os.makedirs(path, exist_ok=True)
    return
  if is_file(path):  # Some file systems would create a folder of the same name beside it.
    raise StorageError(f'The folder {path} cannot be created', got='a file of that name')
  _call('makedirs', path)


def replace(source: PathLike, target: PathLike) -> None:
  """Rename a file; an existing target is replaced."""
  if is_remote(source):
    _call('rename', source, os.fspath(target), overwrite=True)
  else:
    os.replace(source, target)


def remove(path: PathLike) -> None:
  """Remove a file."""
  if is_remote(path):
    _call('remove', path)
  else:
    os.remove(path)


def remove_folder(path: PathLike) -> None:
  """Remove a folder and everything in it as far as possible; it may be missing."""
  if not is_remote(path):
    shutil.rmtree(path, ignore_errors=True)
    return
  with contextlib.suppress(StorageError):
    _call('rmtree', path)


def _matches_hidden(path: str, pattern: str) -> bool:
  """Whether a wildcard of the pattern has matched the dot at the start of a name."""
  pairs = zip(path.split('/'), pattern.split('/'))
  return any(part.startswith('.') and not shape.startswith('.') for part, shape in pairs)


def _is_in_memory(path: PathLike) -> bool:
  """Whether a path is on `ram://`, which takes every start of a path for a folder.

  `ram://a/b1` makes it list a folder `ram://a/b` that holds `1`; its patterns match correctly.
  """
  return os.fspath(path).startswith('ram://')


def _exists_in_memory(path: PathLike) -> bool:
  pattern = local_glob.escape(without_final_slash(path))
  return bool(_call('glob', pattern) or _children_in_memory(path)) or pattern == 'ram://'


def _children_in_memory(path: PathLike) -> list[str]:
  """Names in a folder; of the folders that nobody has created, only those with a file."""
  folder = os.path.join(without_final_slash(path), '')
  paths = [p for shape in ('*', '*/*') for p in _call('glob', local_glob.escape(folder) + shape)]
  return [p.removeprefix(folder).partition('/')[0] for p in paths]


def _call(function: str, path: PathLike, *args: Any, **kwargs: Any) -> Any:
  """The result of a function of `tf.io.gfile`."""
  with _stated_errors(path):
    return getattr(_tensorflow().io.gfile, function)(os.fspath(path), *args, **kwargs)


@contextlib.contextmanager
def _stated_errors(path: PathLike) -> Iterator[None]:
  """A context in which errors of TensorFlow become StorageErrors."""
  path = os.fspath(path)
  _check_scheme(path, 'A path cannot be used')
  try:
    yield
  except _tensorflow().errors.OpError as error:
    got = error.message.strip().split('\n', 1)[0] or type(error).__name__
    raise StorageError(f'{path} cannot be used', got=got) from error


def _check_scheme(path: str, what: str) -> None:
  """Raise InputError unless TensorFlow has a file system for the scheme of a path."""
  scheme = path.partition('://')[0]
  known = _tensorflow().io.gfile.get_registered_schemes()
  if scheme not in known:
    raise InputError(
      what,
      expected='a local path, or one of ' + ', '.join(f'{name}://' for name in known if name),
      got=path,
      likely_cause=f'TensorFlow has no file system for {scheme}://; copy the files to this machine',
    )


def _tensorflow() -> Any:
  import tensorflow

  return tensorflow
