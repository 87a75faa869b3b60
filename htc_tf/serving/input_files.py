"""Ids and names of images to predict on: unique, and traceable to the files that were given."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

# Larger numbers are no longer exact in every program that reads JSON.
_MAX_ID = 2**53
# Most file systems allow names of 255 bytes; a suffix and the temporary name need some of them.
_MAX_STEM = 200
# Label maps of the objects and of the classes of an image are `<stem>.png` and `<stem>_classes.png`
# in one folder.
CLASSES_SUFFIX = '_classes'


class InputImage(NamedTuple):
  """A file to predict on.

  Attributes:
    path: path of the file, as it was given.
    id: image id in the results.
    name: `file_name` in `images.json`.
    overlay: name of the overlay in the output folder.
  """

  path: str
  id: Any
  name: str
  overlay: str


def plan_images(paths: Sequence[str]) -> list[InputImage]:
  """Ids and names of files, each file once.

  If the names of all files are different numbers from 1 on, as in COCO, these numbers are the ids;
  otherwise the files are numbered from 1. The names are base names if these differ, otherwise paths
  relative to the common folder.

  Args:
    paths: files, in order.
  """
  paths = unique_paths(paths)
  names = _names(paths)
  overlays = overlay_names(names)
  return [InputImage(*image) for image in zip(paths, _ids(paths), names, overlays)]


def unique_paths(paths: Sequence[str]) -> list[str]:
  """The paths without repetitions of a file; links to a file are files of their own."""
  first: dict[tuple[str, str], str] = {}
  for path in paths:
    folder, name = os.path.split(path)
    first.setdefault((os.path.realpath(folder), name), path)
  return list(first.values())


def overlay_names(names: Sequence[str]) -> list[str]:
  """`<stem>.png` for each name; repeated stems get a number and keep their suffix.

  Stems that differ in upper and lower case alone count as repeated, because some file systems do
  not distinguish them; so do stems that differ by `CLASSES_SUFFIX`. Very long stems are cut.
  """
  unique = OverlayNames()
  return [unique(name) for name in names]


class OverlayNames:
  """Names of overlays, none of which is given twice; see `overlay_names`."""

  def __init__(self) -> None:
    self._taken: set[str] = set()
    self._numbers: dict[tuple[str, str], int] = {}

  def __call__(self, name: str) -> str:
    """The name of the overlay of the next image."""
    stem, suffix = os.path.splitext(os.path.basename(name))
    stem = shortened(stem, _MAX_STEM)
    kind = (stem.lower(), suffix.lower())
    # The search goes on where it ended, so that a thousand images of one name take no longer each.
    unique, number = stem, self._numbers.get(kind, 1)
    while self._is_taken(unique.lower()):
      number += 1
      unique = f'{stem}_{number}{suffix.replace(".", "_")}'
    self._taken.add(unique.lower())
    self._numbers[kind] = number
    return f'{unique}.png'

  def _is_taken(self, stem: str) -> bool:
    """Whether a file of the image could have the name of one of another image."""
    of_classes = {f'{stem}{CLASSES_SUFFIX}', stem.removesuffix(CLASSES_SUFFIX)}
    return bool(self._taken & {stem, *of_classes})


def shortened(stem: str, max_bytes: int) -> str:
  """The first bytes of a stem, which are text if the stem is text.

  Args:
    stem: a name without its suffix.
    max_bytes: number of bytes of a file name that it may have.
  """
  encoded = os.fsencode(stem)
  if len(encoded) <= max_bytes:
    return stem
  first = encoded[:max_bytes]
  try:
    encoded.decode()
  except UnicodeDecodeError:  # A name may have any bytes.
    return os.fsdecode(first)
  return first.decode(errors='ignore')  # Without the bytes of half a character.


def _names(paths: Sequence[str]) -> list[str]:
  """Base names if they differ, otherwise paths relative to the common folder, with slashes."""
  bases = [os.path.basename(path) for path in paths]
  if len(set(bases)) == len(bases):
    return bases
  absolute = [os.path.abspath(path) for path in paths]
  common = os.path.commonpath([os.path.dirname(path) for path in absolute])
  return [os.path.relpath(path, common).replace(os.sep, '/') for path in absolute]


def _ids(paths: Sequence[str]) -> list[int]:
  """The numbers in the names if all names are distinct numbers, else 1, 2, ..."""
  stems = [os.path.splitext(os.path.basename(path))[0] for path in paths]
  # Other digits, such as superscripts, are no numbers here.
  numbers = [int(stem) for stem in stems if stem.isascii() and stem.isdecimal()]
  if len(set(numbers)) == len(paths) and all(1 <= number <= _MAX_ID for number in numbers):
    return numbers
  return list(range(1, len(paths) + 1))
