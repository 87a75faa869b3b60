"""Selection, renaming and joining of the classes of a data set."""

import collections
import dataclasses
from collections.abc import Iterable

from htc_tf.data.coco_annotations import CocoAnnotations, Entry, classes_of
from htc_tf.errors import ConfigError


def select(
  annotations: CocoAnnotations,
  classes: tuple[str, ...] = (),
  renames: tuple[tuple[str, str], ...] = (),
) -> CocoAnnotations:
  """The annotations with renamed classes, and of the chosen ones alone.

  Classes with the same name after renaming become one, with the smallest of their ids. Images stay,
  also those that have no annotation left.

  Args:
    annotations: cleaned annotations; the findings are added to their report.
    classes: names of the classes to keep, as renamed; empty keeps all.
    renames: pairs of an old and a new name.

  Raises:
    ConfigError: a name is not that of a class.
  """
  if not classes and not renames:
    return annotations
  report = annotations.report
  names = [entry['name'] for entry in annotations.categories]
  new_names = dict(renames)
  _check_known(new_names, names, '--rename')
  renamed = [
    {**entry, 'name': new_names.get(entry['name'], entry['name'])}
    for entry in annotations.categories
  ]
  _check_known(classes, [entry['name'] for entry in renamed], '--classes')
  for old, new in renames:
    report.add('class_renamed', f'{old} -> {new}')
  ids, kept = _joined(renamed, classes)
  chosen: dict[int, list[Entry]] = collections.defaultdict(list)
  for image, entries in annotations.annotations.items():
    chosen[image] = [
      {**entry, 'category_id': ids[entry['category_id']]}
      for entry in entries
      if entry['category_id'] in ids
    ]
    for entry in entries:
      if entry['category_id'] not in ids:
        report.add('class_not_chosen', f'annotation {entry["id"]}')
  report.counts.pop('category_ids_mapped', None)
  report.examples.pop('category_ids_mapped', None)
  return dataclasses.replace(
    annotations, categories=kept, classes=classes_of(kept, report), annotations=dict(chosen)
  )


def _check_known(chosen: Iterable[str], names: list[str], flag: str) -> None:
  unknown = [name for name in chosen if name not in names]
  if unknown:
    raise ConfigError(
      f'{flag} names a class that the annotations do not have',
      expected='names among ' + ', '.join(names[:20]),
      got=', '.join(unknown),
      likely_cause='a misspelled name',
    )


def _joined(
  categories: list[Entry], classes: tuple[str, ...]
) -> tuple[dict[int, int], list[Entry]]:
  """The new id of each id that is kept, and the kept categories, one of each name."""
  ids: dict[int, int] = {}
  first: dict[str, Entry] = {}
  for entry in sorted(categories, key=lambda entry: entry['id']):
    if not classes or entry['name'] in classes:
      ids[entry['id']] = first.setdefault(entry['name'], entry)['id']
  used = set(ids.values())
  return ids, [entry for entry in categories if entry['id'] in used]
