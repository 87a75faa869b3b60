"""Files that are either complete or absent, and file names that stay in their folder."""

import os
import posixpath

from htc_tf.errors import DataError


def temporary_name(path: str) -> str:
  """A name in the same folder, of this process alone, that no `<prefix>-*` pattern matches."""
  folder, name = os.path.split(path)
  return os.path.join(folder, f'.{name}.{os.getpid()}.tmp')


def write_bytes(path: str, content: bytes) -> None:
  """Writes a file under a temporary name and renames it; equal content is left untouched."""
  if _holds(path, content):
    return
  temporary = temporary_name(path)
  try:
    with open(temporary, 'wb') as file:
      file.write(content)
    os.replace(temporary, path)
  except BaseException:
    remove_if_present(temporary)
    raise


def remove_if_present(path: str) -> None:
  """Removes a file that may be absent."""
  try:
    os.remove(path)
  except FileNotFoundError:
    pass


def path_inside(folder: str, name: str) -> str:
  """Joins a file name from an annotation file to the folder it must stay in.

  The check is on the name alone: links inside the folder are the user's own and are followed.

  Raises:
    DataError: the name is absolute or leads out of the folder.
  """
  normal = posixpath.normpath(name.replace('\\', '/'))
  first = normal.split('/')[0]
  if first in ('', '.', '..') or ':' in first or '\0' in name:
    raise DataError(f'file name {name!r} in the annotations leaves the image folder',
                    expected='a name relative to the image folder',
                    got=name,
                    likely_cause='annotations written for another folder, or made with ill intent')
  return os.path.join(folder, normal)


def _holds(path: str, content: bytes) -> bool:
  if not os.path.isfile(path) or os.path.getsize(path) != len(content):
    return False
  with open(path, 'rb') as file:
    return file.read() == content
