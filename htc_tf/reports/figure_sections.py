"""Sections of an evaluation report with AP: for all classes, for each class, and its curves."""

from collections.abc import Sequence

import numpy as np

from htc_tf.evaluation import curves as curves_lib
from htc_tf.evaluation import interpolated_precision, metrics, thresholds
from htc_tf.evaluation.analysis import Analysis
from htc_tf.evaluation.curves import ClassCurves
from htc_tf.reports import share_charts as charts
from htc_tf.reports.class_table import REGIONS, ClassRow
from htc_tf.reports.page import Block, Section

_SIZES = {'small': 's', 'medium': 'm', 'large': 'l'}
# More classes than this make a page that nobody reads; the others open with a click.
_MAX_ROWS = 40
_MAX_CURVES = 12


def percent(value: float | None) -> float | None:
  """A figure in percent; None for -1, with which COCO marks what cannot be measured."""
  return None if value is None or value < 0 else 100 * value


def add_average_precision(section: Section, analysis: Analysis) -> None:
  """Add the figures of COCO for all classes, and by size."""
  names = ['AP', 'AP50', 'AP75', 'ARmax1', 'ARmax10', 'ARmax100']
  limits = ['', *sorted({key.partition('@')[2] for key in analysis.figures} - {''})]
  rows = []
  for key in (key for key in REGIONS if key in analysis.by_region):
    for limit in limits:
      figures = [_figure(analysis, key, name, limit) for name in names]
      label = f'{REGIONS[key]}, {limit} detections' if limit else REGIONS[key]
      rows.append([label, *figures])
  header = ['', 'AP', 'AP50', 'AP75', 'AR of 1', 'AR of 10', 'AR']
  section.table(
    header,
    rows,
    'In percent, over all classes that have objects. AR is the recall of the best 1, 10 and 100 '
    'detections of a class in an image, or of as many as a row names.',
  )
  _add_sizes(section, analysis)


def add_classes(section: Section, analysis: Analysis, rows: Sequence[ClassRow]) -> None:
  """Add the table of classes: the AP of each, and the threshold that maximizes its F1."""
  known = sorted((row for row in rows if row.ap is not None), key=lambda row: row.ap or 0.0)
  unknown = [row for row in rows if row.ap is None]
  section.paragraph(
    'The classes with the lowest AP come first. The best threshold is the smallest score to keep '
    'if F1, the harmonic mean of precision and recall at IoU 0.5, is to be as high as possible; '
    'precision, recall and F1 are those at this threshold. per_class.csv has these figures.'
  )
  if known:
    _add_rows(section, known[:_MAX_ROWS])
  else:
    section.paragraph('No class has an object.')
  if len(known) > _MAX_ROWS:
    more = section.details(f'{len(known) - _MAX_ROWS} classes with a higher AP')
    _add_rows(more, known[_MAX_ROWS:])
  if unknown:
    names = ', '.join(row.name for row in unknown)
    section.paragraph(f'Without objects, and therefore without figures: {names}.')
  best = analysis.best_point
  if best.threshold is not None:
    section.paragraph(
      f'With one threshold for all classes, {thresholds.written(best.threshold)} is best: '
      f'precision {100 * best.precision:.1f}, recall {100 * best.recall:.1f}, '
      f'F1 {100 * best.f1:.1f}.'
    )


def add_curves(section: Section, analysis: Analysis, rows: Sequence[ClassRow]) -> None:
  """Add the precision-recall curves: of the mean over the classes, and of each class."""
  region = REGIONS[analysis.main_type]
  section.paragraph(
    f'Precision of the {region} detections down to the score at which a recall is reached, as '
    'COCOeval interpolates it. The point is the best threshold of the class.'
  )
  mean = curves_lib.mean_curves(analysis.main.class_curves)
  if mean is None:
    section.paragraph('There are no objects, and therefore no curves.')
    return
  drawn = [
    (row, curves)
    for row, curves in zip(rows, analysis.main.class_curves)
    if curves is not None and curves.at_50.any()
  ]
  drawn.sort(key=lambda item: item[1].ap)
  charts_of_classes = [_class_chart(*item) for item in drawn]
  if len(drawn) > 1:
    lead = (_curve_chart(mean, None), 'precision-recall curves, mean over the classes')
    num_classes = sum(curves is not None for curves in analysis.main.class_curves)
    caption = f'Mean over {num_classes} classes: AP {100 * mean.ap:.1f}'
    charts_of_classes.insert(0, (*lead, caption))
  section.gallery(charts_of_classes[:_MAX_CURVES])
  if len(charts_of_classes) > _MAX_CURVES:
    more = section.details(f'{len(charts_of_classes) - _MAX_CURVES} classes with a higher AP')
    more.gallery(charts_of_classes[_MAX_CURVES:])
  never = [row.name for row in rows if row.ap is not None and row.num_objects and not row.f1]
  if never:
    section.paragraph(f'Never found, and therefore without a curve: {", ".join(never)}.')


def _figure(analysis: Analysis, key: str, name: str, limit: str) -> float | None:
  """A figure in percent at a number of detections; None if it is only given at COCO's."""
  if not limit:
    return percent(analysis.figures[f'{key}_{name}'])
  if name == 'ARmax100':  # The last column is that of the limit.
    name = f'ARmax{limit}'
  return percent(analysis.figures.get(f'{key}_{metrics.at_limit(name, int(limit))}'))


def _add_sizes(section: Section, analysis: Analysis) -> None:
  regions = [key for key in REGIONS if key in analysis.by_region]
  rows = [
    [
      size,
      analysis.objects_by_size[size],
      *(
        percent(analysis.figures[f'{key}_{figure}{letter}'])
        for key in regions
        for figure in ('AP', 'AR')
      ),
    ]
    for size, letter in _SIZES.items()
  ]
  header = [f'{REGIONS[key]} {figure}' for key in regions for figure in ('AP', 'AR')]
  section.table(['size', 'objects', *header], rows, 'By size of the objects.')


def _add_rows(block: Block, rows: Sequence[ClassRow]) -> None:
  regions = list(rows[0].by_region)
  header = ['class', 'images', 'objects']
  # Of boxes beside masks, AP alone is shown, so that the table fits the page.
  header += [f'{regions[0]} {figure}' for figure in ('AP', 'AP50', 'AR')]
  header += [f'{region} AP' for region in regions[1:]]
  header += ['best threshold', 'precision', 'recall', 'F1']
  table = [
    [
      row.name,
      row.num_images,
      row.num_objects,
      *(percent(value) for value in row.by_region[regions[0]]),
      *(percent(row.by_region[region][0]) for region in regions[1:]),
      row.threshold,
      *(percent(value) for value in (row.precision, row.recall, row.f1)),
    ]
    for row in rows
  ]
  places = thresholds.num_decimals(row.threshold for row in rows)
  decimals = [1] * (len(header) - 4) + [places, 1, 1, 1]
  block.table(header, table, decimals=decimals)


def _class_chart(row: ClassRow, curves: ClassCurves) -> tuple[str, str, str]:
  """Chart, description and caption of a class."""
  point = None
  if row.threshold is not None and row.recall is not None and row.precision is not None:
    point = charts.Point(
      f'best threshold {thresholds.written(row.threshold)}', row.recall, row.precision
    )
  caption = f'{row.name}: AP {100 * curves.ap:.1f}, AP50 {100 * curves.ap50:.1f}'
  return _curve_chart(curves, point), f'precision-recall curves of {row.name}', caption


def _curve_chart(curves: ClassCurves, point: charts.Point | None) -> str:
  recalls = interpolated_precision.RECALLS
  return charts.chart(
    'recall',
    'precision',
    [
      charts.Line('mean of IoU 0.5 to 0.95', recalls, _until_end(curves.mean), charts.GRAY, True),
      charts.Line('IoU 0.75', recalls, _until_end(curves.at_75), charts.GREEN),
      charts.Line('IoU 0.5', recalls, _until_end(curves.at_50), charts.BLUE),
    ],
    [] if point is None else [point],
  )


def _until_end(precision: np.ndarray) -> np.ndarray:
  """The precision with a gap after the first recall that is not reached."""
  reached = np.flatnonzero(precision > 0)
  end = int(reached[-1]) + 2 if len(reached) else 1
  return np.where(np.arange(len(precision)) < end, precision, np.nan)
