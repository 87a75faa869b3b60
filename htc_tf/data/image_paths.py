"""File names from annotation files, which must not lead out of the image folder."""

import os
import posixpath
import re
import unicodedata

from htc_tf.errors import DataError

_DRIVE = re.compile('[A-Za-z]:')  # of Windows


def path_inside(folder: str, name: str) -> str:
  """Path of a file that an annotation file names.

  Only the name is checked. Links inside the folder were made by the user and are followed. If there
  is no file of the name, a file whose name has the accents in another Unicode form is taken: macOS
  decomposes them.

  Args:
    folder: folder of the images.
    name: file name in the annotations, relative to the folder.

  Raises:
    DataError: the name is absolute or leads out of the folder.
  """
  normal = posixpath.normpath(name.replace('\\', '/'))
  first = normal.split('/')[0]
  if first in ('', '.', '..') or _DRIVE.match(first) or '\0' in name:
    raise DataError(
      f'The file name {name!r} in the annotations leaves the image folder',
      expected='a name relative to the image folder',
      got=name,
      likely_cause='annotations written for another folder, or made with malicious intent',
    )
  path = os.path.join(folder, normal)
  if normal.isascii() or os.path.exists(path):
    return path
  return _in_other_form(folder, normal.split('/')) or path


def is_other_form(path: str, name: str) -> bool:
  """Whether a path from `path_inside` has the accents of the name in another Unicode form.

  Args:
    path: the path.
    name: file name in the annotations.
  """
  return not name.isascii() and not path.endswith(posixpath.normpath(name.replace('\\', '/')))


def _in_other_form(folder: str, parts: list[str]) -> str | None:
  """The existing path whose parts have any of the Unicode forms, or None."""
  if not parts:
    return folder
  forms = (unicodedata.normalize(form, parts[0]) for form in ('NFC', 'NFD'))
  for name in (parts[0], *forms):
    path = os.path.join(folder, name)
    if os.path.exists(path):
      found = _in_other_form(path, parts[1:])
      if found:
        return found
  return None
