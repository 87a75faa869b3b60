"""The files of a data set as `--annotations` names them: a file, or a folder with all below it."""

import functools
import hashlib
import json
import os
import posixpath
from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree import ElementTree

from htc_tf import file_errors
from htc_tf.data import annotation_file
from htc_tf.data.check_report import CheckReport
from htc_tf.data.formats import json_kinds
from htc_tf.errors import DataError

# Archives made on macOS have copies of attributes there.
_LEFT_OUT = ('__MACOSX',)
_MAX_LISTED = 1_000_000
_MAX_LOOKED_AT = 50  # Files that show the format of a folder.
# Names of splits; those of a group are the same one.
_SPLITS = (('train', 'training'), ('val', 'valid', 'validation'), ('test', 'testing'))


class SourceFiles:
  """The annotation files below a path; all that is read counts for the fingerprint.

  Args:
    path: a file, or a folder.
    report: counts of the findings.
    left_out: a folder that does not count, such as that of the records; '' for none.

  Attributes:
    path: the path.
    folder: the path if it is a folder, else the folder of the file.
    is_folder: whether the path is a folder.
    report: counts of the findings.
  """

  def __init__(self, path: str, report: CheckReport, left_out: str = ''):
    self.path = path
    self.is_folder = os.path.isdir(path)
    self.folder = path if self.is_folder else os.path.dirname(os.path.abspath(path))
    self.report = report
    self._left_out = os.path.relpath(left_out, self.folder) if left_out else ''
    self._hashes: dict[str, str] = {}
    self._counted: set[str] = set()
    self._parsed: tuple[str, Any] = ('', None)

  def moved(self, folder: str, left_out: str = '') -> 'SourceFiles':
    """The files below a folder, with the report and the fingerprint of these.

    Args:
      folder: the folder.
      left_out: a folder that does not count.
    """
    other = SourceFiles(folder, self.report, left_out)
    other._hashes = {f'../{name}': digest for name, digest in self._hashes.items()}
    return other

  @functools.cached_property
  def names(self) -> tuple[str, ...]:
    """Names of all files relative to the folder, with slashes, sorted; of a file, its name alone.

    Raises:
      DataError: there are more than a million files.
    """
    if not self.is_folder:
      return (os.path.basename(self.path),)
    prefix = self._left_out.replace(os.sep, '/') + '/'
    return tuple(name for name in files_below(self.folder) if not name.startswith(prefix))

  @functools.cached_property
  def name_set(self) -> frozenset[str]:
    """The names without an order, in which one is found at once."""
    return frozenset(self.names)

  def of_type(self, *suffixes: str) -> list[str]:
    """Names of the files with one of the suffixes, such as '.json', in any case."""
    return [name for name in self.names if name.lower().endswith(suffixes)]

  def of_split(self, names: Sequence[str], split: str) -> list[str]:
    """The files below a folder with the name of a split; others are counted. '' takes all."""
    if not split:
      return list(names)
    chosen = [name for name in names if is_in_split(name, split)]
    for name in sorted(set(names) - set(chosen)):
      self.report.add('other_split', name)
    return chosen

  def absolute(self, name: str) -> str:
    """Path of a file."""
    return os.path.join(self.folder, *name.split('/'))

  def read(self, name: str) -> bytes:
    """Content of a file.

    Raises:
      InputError: the file cannot be read.
    """
    with file_errors.as_input_errors(reading=True), open(self.absolute(name), 'rb') as file:
      content = file.read()
    self._hashes[name] = hashlib.sha256(content).hexdigest()
    return content

  def json(self, name: str) -> Any:
    """The parsed content of a JSON file; None if it is no JSON."""
    if self._parsed[0] != name:
      found = CheckReport()
      try:
        content = json.loads(annotation_file.decode(self.read(name), found))
      except (ValueError, RecursionError):
        content = None
      if name not in self._counted:  # A file may be read twice.
        self._counted.add(name)
        self.report.merge(found.counts, found.examples)
      self._parsed = (name, content)
    return self._parsed[1]

  @functools.cached_property
  def json_kinds(self) -> dict[str, list[str]]:
    """Names of JSON files by their kind, see `json_kinds`; of a large folder, of some of them."""
    found: dict[str, list[str]] = {}
    for name in _some(self.of_type('.json')):
      kind = json_kinds.kind_of(self.json(name))
      if kind:
        found.setdefault(kind, []).append(name)
    return found

  @functools.cached_property
  def xml_roots(self) -> dict[str, ElementTree.Element]:
    """Roots of XML files by name; of a large folder, of some of them."""
    parsed = ((name, self.xml(name)) for name in _some(self.of_type('.xml')))
    return {name: root for name, root in parsed if root is not None}

  def xml(self, name: str) -> ElementTree.Element | None:
    """The root of an XML file; None if it is no XML, or declares entities."""
    content = self.read(name)
    if b'<!ENTITY' in content:
      return None
    try:
      return ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError):
      return None

  def lines(self, name: str) -> list[str]:
    """The lines of a text file, without spaces around them."""
    text = self.read(name).decode('utf-8-sig', errors='surrogateescape')
    return [line.strip() for line in text.splitlines()]

  def digest(self) -> str:
    """A hash of the names and contents of all files that were read."""
    return hashlib.sha256(json.dumps(sorted(self._hashes.items())).encode()).hexdigest()


def _some(names: list[str]) -> list[str]:
  """Names that show the format: those in the uppermost folders, and others at equal distances."""
  if len(names) <= _MAX_LOOKED_AT:
    return names
  half = _MAX_LOOKED_AT // 2
  upper = sorted(names, key=lambda name: name.count('/'))[:half]
  return list(dict.fromkeys([*upper, *names[:: -(-len(names) // half)]]))


def files_below(folder: str) -> tuple[str, ...]:
  """Names of all files below a folder, relative to it, with slashes, sorted; hidden ones left out.

  Links to folders are followed; a folder that was seen before is not entered again.

  Raises:
    DataError: there are more than a million files.
  """
  found: list[str] = []
  seen: set[str] = set()
  for parent, folders, names in os.walk(folder, followlinks=True):
    real = os.path.realpath(parent)
    if real in seen:
      folders.clear()
      continue
    seen.add(real)
    folders[:] = sorted(name for name in folders if not _is_left_out(name))
    relative = os.path.relpath(parent, folder).replace(os.sep, '/')
    prefix = '' if relative == '.' else relative + '/'
    found += [prefix + name for name in names if not _is_left_out(name)]
    if len(found) > _MAX_LISTED:
      raise DataError(
        f'{folder} has too many files',
        expected=f'at most {_MAX_LISTED}',
        got='more',
        likely_cause='a folder above the data set, such as a home folder',
      )
  return tuple(sorted(found))


def is_split(name: str, split: str) -> bool:
  """Whether a name is that of a split, in any case; val, valid and validation are the same."""
  return name.lower() == split.lower() or split_of(name) == split_of(split) != ''


def split_of(name: str) -> str:
  """The usual name of a split, such as val for Validation; '' if the name is that of none."""
  return next((names[0] for names in _SPLITS if name.lower() in names), '')


def count_joined(names: Iterable[str], report: CheckReport) -> None:
  """Count the splits that are read together, if there are several.

  Args:
    names: names, of which some may be those of splits.
    report: counts of the findings.
  """
  found = {split for name in names if (split := split_of(name))}
  for split in sorted(found) if len(found) > 1 else ():
    report.add('split_joined', split)


def is_in_split(name: str, split: str) -> bool:
  """Whether a file is below a folder with the name of a split."""
  return any(is_split(part, split) for part in name.split('/')[:-1])


def _is_left_out(name: str) -> bool:
  return name.startswith('.') or name in _LEFT_OUT


def stem(name: str) -> str:
  """The last part of a name without its suffix; backslashes, as of Windows, separate parts."""
  return posixpath.splitext(posixpath.basename(name.replace('\\', '/')))[0]
