"""File names from annotation files, which must stay in the image folder."""

import os
import posixpath

from htc_tf.errors import DataError


def path_inside(folder: str, name: str) -> str:
  """Joins a file name from an annotation file to the folder it must stay in.

  The check is on the name alone: links inside the folder are the user's own and are followed.

  Raises:
    DataError: the name is absolute or leads out of the folder.
  """
  normal = posixpath.normpath(name.replace('\\', '/'))
  first = normal.split('/')[0]
  if first in ('', '.', '..') or ':' in first or '\0' in name:
    raise DataError(
      f'file name {name!r} in the annotations leaves the image folder',
      expected='a name relative to the image folder',
      got=name,
      likely_cause='annotations written for another folder, or made with ill intent',
    )
  return os.path.join(folder, normal)
