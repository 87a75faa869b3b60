"""The card of a data set as sections of a page."""

from collections.abc import Sequence
from typing import cast

from htc_tf.data.check_report import CheckReport
from htc_tf.data.statistics import QUANTILES, DatasetStatistics
from htc_tf.reports import charts, data_warnings
from htc_tf.reports.page import Page, Section
from htc_tf.reports.page_table import Bar, Cell
from htc_tf.reports.shown_data import Split

_MAX_ROWS = 30
_MAX_SIZES = 8


def add_card(page: Page, splits: Sequence[Split], scale: float | None) -> None:
  """Add what is known about the data sets: classes, sizes, objects, findings of the conversion.

  Args:
    page: the page to add to.
    splits: the splits.
    scale: median factor from stored images to the network input; None if it is unknown.
  """
  _add_classes(page.section('Classes'), splits)
  known = [split for split in splits if split.info.statistics is not None]
  if known:
    _add_images(page.section('Images'), known)
    _add_objects(page.section('Objects'), known, scale)
  _add_findings(page.section('Findings of the conversion'), splits)


def facts(split: Split) -> list[tuple[str, Cell]]:
  """The most important numbers of a split."""
  info = split.info
  found: list[tuple[str, Cell]] = [
    ('images', info.num_images),
    ('objects', info.num_trainable),
    ('classes', len(info.categories)),
    ('crowd regions', info.num_instances - info.num_trainable),
    ('masks', 'yes' if info.include_masks else 'no'),
    ('semantic map', info.semantic.source.replace('_', ' ') if info.semantic else 'none'),
  ]
  if info.statistics is not None:
    found.append(('channels', info.statistics.num_channels))
    found.append(('bits of a sample', info.statistics.bits))
  return found


def _add_classes(section: Section, splits: Sequence[Split]) -> None:
  """Add the number of images and objects of each class, the most frequent class first."""
  header, columns = ['class'], []
  for split in splits:
    names = split.class_names
    statistics = split.info.statistics
    empty = (None,) * len(names)
    images = dict(zip(names, statistics.images_by_category if statistics else empty))
    objects = dict(zip(names, statistics.instances_by_category if statistics else empty))
    most = max([count or 0 for count in objects.values()], default=0)
    columns.append((images, objects, most))
    header += [f'{split.name}: images', f'{split.name}: objects', '']
  order = sorted(_names(splits), key=lambda name: -(columns[0][1].get(name) or 0))
  rows = [_class_row(name, columns) for name in order]
  section.table(header, rows[:_MAX_ROWS])
  if len(rows) > _MAX_ROWS:
    rest = section.details(f'{len(rows) - _MAX_ROWS} more classes')
    rest.table(header, rows[_MAX_ROWS:])


def _class_row(name: str, columns: Sequence[tuple]) -> list[Cell]:
  row: list[Cell] = [name]
  for images, objects, most in columns:
    count = objects.get(name)
    row += [images.get(name), count, Bar(count / most if count and most else 0.0)]
  return row


def _names(splits: Sequence[Split]) -> list[str]:
  """Names of the classes of all splits, in the order of their labels."""
  return list(dict.fromkeys(name for split in splits for name in split.class_names))


def _add_images(section: Section, splits: Sequence[Split]) -> None:
  """Add the sizes of the images, and the number of objects on them."""
  for split in splits:
    statistics = _statistics(split)
    sizes = statistics.image_sizes
    rows: list[list[Cell]] = [
      [f'{width} x {height}', count, Bar(count / split.info.num_images)]
      for height, width, count in sizes[:_MAX_SIZES]
    ]
    rest = sum(count for _, _, count in sizes[_MAX_SIZES:])
    if rest:
      name = f'{len(sizes) - _MAX_SIZES} other sizes'
      rows.append([name, rest, Bar(rest / split.info.num_images)])
    section.heading(split.name)
    section.table(['width x height', 'images', ''], rows)
    section.drawing(
      charts.histogram(statistics.objects_per_image, 'objects in an image', 'images'),
      f'histogram of the number of objects in an image of {split.name}',
      f'Number of objects in an image of {split.name}, crowd regions not counted.',
    )


def _add_objects(section: Section, splits: Sequence[Split], scale: float | None) -> None:
  """Add the distributions of box sides and mask areas."""
  header = ['', *(f'{share:.0%}' for share in QUANTILES)]
  header[1], header[4], header[-1] = 'smallest', 'median', 'largest'
  rows: list[list[Cell]] = []
  ranges = []
  for split in splits:
    statistics = _statistics(split)
    if statistics.box_sides:
      ranges.append((split.name, [max(side, 0.5) for side in statistics.box_sides]))
      rows.append([f'{split.name}: box side', *map(round, statistics.box_sides)])
      if scale is not None:
        at_input = [round(side * scale) for side in statistics.box_sides]
        rows.append([f'{split.name}: box side at the network input', *at_input])
    if statistics.mask_areas:
      rows.append([f'{split.name}: mask area', *map(round, statistics.mask_areas)])
  if not rows:
    section.paragraph('There are no objects.')
    return
  section.paragraph(
    'The side of a box is that of a square with its area, in pixels. The columns say which share '
    'of the objects is not larger.'
  )
  section.table(header, rows)
  marks = []
  if scale is not None:
    tiny = data_warnings.TINY_SIDE
    marks = [(tiny / scale, f'{tiny} pixels at the network input')]
  section.drawing(
    charts.ranges(ranges, 'side of the box in pixels of the stored image', marks),
    'distribution of the sides of the boxes',
    'Sides of the boxes: light from 5 % to 95 % of the objects, dark from 25 % to 75 %, with the '
    'median; the thin line reaches from the smallest to the largest.',
  )


def _add_findings(section: Section, splits: Sequence[Split]) -> None:
  """Add what the converter found, by split."""
  found = False
  for split in splits:
    report = CheckReport()
    report.merge(split.info.checks, {})
    rows: list[list[Cell]] = []
    for line in report.lines():
      count, description = line.split(maxsplit=1)
      rows.append([description, int(count)])
    if rows:
      found = True
      section.table([f'{split.name}: finding', 'number'], rows)
  if not found:
    section.paragraph('The converter dropped and changed nothing.')


def _statistics(split: Split) -> DatasetStatistics:
  return cast(DatasetStatistics, split.info.statistics)  # Callers pass splits that have them.
