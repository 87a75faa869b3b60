"""Reading of annotation files: JSON in any Unicode encoding, and names of other formats."""

import json
from typing import Any

from htc_tf import file_systems
from htc_tf.data.check_report import CheckReport
from htc_tf.errors import DataError

Entry = dict[str, Any]
# Sections and the checks that count their entries that are no objects.
_SECTIONS = {
  'images': 'bad_image',
  'annotations': 'bad_annotation',
  'categories': 'bad_category',
}

_CONVERT = (
  'annotations that htc-create-coco-records reads; use the file <prefix>_annotations.json that it '
  'writes'
)


def read_annotation_file(path: str, report: CheckReport) -> Entry:
  """The content of a file in the format of COCO instances.

  Args:
    path: path of the JSON file; it may begin with a byte-order mark, and file names in it may have
      bytes that are not UTF-8.
    report: counts of the findings.

  Raises:
    DataError: the file cannot be read, is not JSON, or has another format, which the message names.
  """
  return checked(_read_json(path, report), path)


def checked(content: Any, path: str) -> Entry:
  """The content of a JSON file if it has the format of COCO instances.

  Args:
    content: the parsed content.
    path: path of the file, for messages.

  Raises:
    DataError: it has another format, which the message names.
  """
  other = _other_format(content)
  if other:
    name, remedy = other
    raise DataError(
      f'{path} is not a COCO instances file',
      expected='an object with images, annotations, categories',
      got=name,
      likely_cause=remedy,
    )
  return content


def section(
  content: Entry, key: str, path: str, report: CheckReport, may_be_empty: bool = False
) -> list[Entry]:
  """The entries of a section of the file; entries that are no objects are skipped and counted.

  Args:
    content: content of the file.
    key: name of the section.
    path: path of the file, for messages.
    report: counts of the findings.
    may_be_empty: whether the section may have no entry.

  Raises:
    DataError: the section is not a list, or has no entry.
  """
  listed = content.get(key, [])
  if not isinstance(listed, list):
    raise DataError(
      f'The entry "{key}" in {path} is malformed',
      expected='a list of objects',
      got=type(listed).__name__,
      likely_cause='the file of another tool; export it as COCO instances',
    )
  entries = [entry for entry in listed if isinstance(entry, dict)]
  for entry in listed:
    if not isinstance(entry, dict):
      report.add(_SECTIONS[key], str(entry)[:40])
  if not entries and not may_be_empty:
    raise DataError(
      f'{path} has no {key}',
      expected=f'at least one entry in "{key}"',
      got='none',
      likely_cause='an empty data set, or a file that is not an annotation file',
    )
  return entries


def _read_json(path: str, report: CheckReport) -> Any:
  try:
    return json.loads(decode(file_systems.read_bytes(path), report))
  except OSError as error:
    raise DataError(
      f'The annotation file {path} cannot be read',
      expected='a COCO instances file',
      got=error.strerror or str(error),
      likely_cause='a wrong path, or missing permission',
    ) from error
  except (ValueError, RecursionError) as error:
    raise DataError(
      f'The annotation file {path} is not JSON',
      expected='a COCO instances file',
      got=str(error),
      likely_cause='an incomplete download, or the path of another file',
    ) from error


def decode(content: bytes, report: CheckReport) -> str:
  """The text of a JSON file; bytes that are not UTF-8 become surrogates, as in names of files."""
  encoding = json.detect_encoding(content)
  if encoding != 'utf-8':
    report.add('text_encoding', encoding)
    return content.decode(encoding, 'surrogatepass')
  try:
    return content.decode()
  except UnicodeDecodeError as error:
    report.add('text_encoding', f'no UTF-8 at byte {error.start}')
    return content.decode(errors='surrogateescape')


def _other_format(content: Any) -> tuple[str, str] | None:
  """The name of another format than COCO instances and what to do; None if there is none."""
  if isinstance(content, dict):
    return _other_object(content)
  if isinstance(content, list) and _has(content, 'score'):
    return 'a list of COCO results', 'pass the annotations, not the detections of a model'
  return f'a {type(content).__name__}', 'a results file, or annotations of another tool'


def _other_object(content: Entry) -> tuple[str, str] | None:
  annotations = content.get('annotations')
  annotations = annotations if isinstance(annotations, list) else []
  instances = 'use the file instances_*.json of the data set'
  is_via = '_via_img_metadata' in content or _has(content.values(), 'regions')
  formats = (
    (
      'shapes' in content and 'imagePath' in content,
      'a LabelMe file of one image',
      _CONVERT,
    ),
    (is_via, 'a project of VGG Image Annotator', _CONVERT),
    (_has(annotations, 'segments_info'), 'COCO panoptic annotations', instances),
    (_has(annotations, 'caption'), 'COCO captions', instances),
    (
      not any(key in content for key in _SECTIONS),
      f'an object with {sorted(content)[:5]}',
      'the file of another tool; export it as COCO instances',
    ),
  )
  return next(((name, remedy) for found, name, remedy in formats if found), None)


def _has(entries: Any, key: str) -> bool:
  """Whether there are entries and all of them are objects with a key."""
  entries = list(entries)
  return bool(entries) and all(isinstance(entry, dict) and key in entry for entry in entries)
