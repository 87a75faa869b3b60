"""Files with the same content, such as copies of an image under another name."""

import collections
import hashlib
import os
from collections.abc import Mapping


def find(paths: Mapping[str, str]) -> dict[str, str]:
  """For names of files with the content of an earlier one, the name of that one.

  Only files of equal size are read. A file that cannot be read has no copies; its error appears
  when it is converted.

  Args:
    paths: path of each file by its name.
  """
  by_size: dict[int, list[str]] = collections.defaultdict(list)
  for name, path in paths.items():
    try:
      by_size[os.path.getsize(path)].append(name)
    except OSError:
      continue
  first: dict[bytes, str] = {}
  copies: dict[str, str] = {}
  for names in by_size.values():
    for name in names if len(names) > 1 else ():
      digest = _digest(paths[name])
      if digest is not None and first.setdefault(digest, name) != name:
        copies[name] = first[digest]
  return copies


def _digest(path: str) -> bytes | None:
  try:
    with open(path, 'rb') as file:
      return hashlib.file_digest(file, 'sha256').digest()
  except OSError:
    return None
