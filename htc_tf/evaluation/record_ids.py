"""Ids of records for annotations whose own ids are text.

A file with text ids is numbered when it is read. Two files, or one file in another order, get other
numbers, so that an evaluation has to take the numbers that the records have.
"""

import json
from typing import Any

from htc_tf import file_systems, files
from htc_tf.errors import DataError

_Entry = dict[str, Any]


def adopt(dataset: dict[str, Any], records_annotations: files.PathLike) -> None:
  """Give images and categories the ids that they have in the records.

  Entries that the records lack get ids that the records do not use.

  Args:
    dataset: COCO annotations whose text ids were numbered, with `original_id`; they are changed.
    records_annotations: path of the annotations that the conversion wrote beside the records.

  Raises:
    DataError: the records were converted from a file with other ids.
  """
  records = json.loads(file_systems.read_bytes(records_annotations))
  for section, key in (('images', 'image_id'), ('categories', 'category_id')):
    entries = dataset[section]
    if not any('original_id' in entry for entry in entries):
      continue
    known = {entry.get('original_id'): entry['id'] for entry in records[section]}
    if not any(entry['original_id'] in known for entry in entries):
      raise DataError(
        f'The {section} of the annotations are not those of the records',
        expected=f'ids such as {_listed(records[section])}',
        got=f'ids such as {_listed(entries)}',
        likely_cause='annotations of another data set, or records that were converted from a file '
        'with other ids; convert the annotations to records again',
      )
    _renumber(entries, known, dataset['annotations'], key)


def _renumber(
  entries: list[_Entry], known: dict[Any, int], annotations: list[_Entry], key: str
) -> None:
  free = max(known.values()) + 1
  new_ids: dict[int, int] = {}
  for entry in entries:
    new_ids[entry['id']] = known.get(entry['original_id'], free)
    free += entry['original_id'] not in known
    entry['id'] = new_ids[entry['id']]
  for annotation in annotations:
    annotation[key] = new_ids[annotation[key]]


def _listed(entries: list[_Entry]) -> str:
  return ', '.join(repr(entry.get('original_id', entry['id'])) for entry in entries[:3])
