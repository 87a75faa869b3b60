"""Sections of an evaluation report about errors: kinds, confusions, and scores."""

import numpy as np

from htc_tf.evaluation import confusion, thresholds
from htc_tf.evaluation.analysis import Analysis
from htc_tf.evaluation.error_kinds import ErrorKind
from htc_tf.reports import matrix_chart, plain_words
from htc_tf.reports import share_charts as charts
from htc_tf.reports.class_table import REGIONS
from htc_tf.reports.page import Section
from htc_tf.reports.page_table import Bar

_MAX_MATRIX = 25
_MAX_LISTED = 15
_TOTALS = (
  ('wrong detections', 'all false positives, if they were gone', 'false_positives'),
  ('not found', 'all false negatives, if they were no objects', 'false_negatives'),
)


def add_errors(section: Section, analysis: Analysis) -> None:
  """Add the kinds of errors with what they cost."""
  regions = [key for key in REGIONS if key in analysis.by_region]
  main = analysis.main.errors
  largest = max([*main.by_kind.values(), main.false_positives, main.false_negatives])
  section.paragraph(
    'What each kind costs: by how many points AP50 would rise if all errors of this kind were '
    'repaired and nothing else. Costs do not add up. The counts are those of all detections, and '
    'of those with a score of at least the best threshold.'
  )
  costs = [f'cost in {REGIONS[key]} AP50' for key in regions]
  above = f'score ≥ {thresholds.written(analysis.threshold)}'
  rows = []
  for kind in ErrorKind:
    row = [100 * analysis.by_region[key].errors.by_kind[kind] for key in regions]
    counts = [analysis.main.error_counts[kind], analysis.counts_above[kind]]
    bar = Bar(main.by_kind[kind] / largest if largest else 0.0)
    rows.append([kind.value, *row, bar, *counts, plain_words.MEANINGS[kind]])
  section.table(['kind', *costs, '', 'errors', above, 'meaning'], rows)
  rows = []
  for name, meaning, field in _TOTALS:
    row = [100 * getattr(analysis.by_region[key].errors, field) for key in regions]
    bar = Bar(getattr(main, field) / largest if largest else 0.0)
    rows.append([name, *row, bar, meaning])
  section.table(['together', *costs, '', 'meaning'], rows)


def add_confusion(section: Section, analysis: Analysis) -> None:
  """Add the confusion matrix, and the largest confusions in words."""
  section.paragraph(
    f'Objects by their class (rows) and by the class of the detection on them (columns), for '
    f'detections with a score of at least {thresholds.written(analysis.threshold)} and IoU of at '
    'least 0.5. In the '
    'last column objects that are not found, in the last row detections on background. Colors are '
    'shares of the objects of a row, and in the last row shares of the detections of a column.'
  )
  matrix, kept = confusion.merged(analysis.confusion, _MAX_MATRIX)
  names = [analysis.names[label] for label in kept]
  if len(kept) < len(analysis.names):
    names.append(plain_words.counted(len(analysis.names) - len(kept), 'other'))
    section.paragraph(
      f'Of {len(analysis.names)} classes, the {len(kept)} with the most errors are shown; '
      'metrics.json has the whole matrix. In the cell of the others with themselves, '
      f'{confusion.num_confused(analysis.confusion, kept):,} of {matrix[-2, -2]:,} objects are '
      'taken for another of these classes.'
    )
  drawing = matrix_chart.matrix_chart(matrix, [*names, 'background'])
  section.drawing(drawing, 'confusion matrix', is_wide=True)
  largest = confusion.largest_confusions(analysis.confusion[:-1, :-1], _MAX_LISTED)
  if largest:
    section.table(
      ['truth', 'detected as', 'objects'],
      [[analysis.names[row], analysis.names[column], count] for row, column, count in largest],
      'The classes that are taken for another most often.',
    )


def add_calibration(section: Section, analysis: Analysis) -> None:
  """Add the reliability diagram and the number of detections by score."""
  found = analysis.calibration
  if found is None:
    section.paragraph(
      'Some scores are outside 0..1. They rank detections, but are no probabilities, so that they '
      'cannot be compared with the share of right detections.'
    )
    return
  if not found.counts.any():
    section.paragraph('There are no detections, and therefore no scores.')
    return
  section.paragraph(
    'If scores were probabilities, 80 % of the detections with a score of 0.8 would be right (IoU '
    f'of at least 0.5). The expected calibration error is {found.expected_error:.3f}; scores are '
    f'on average {abs(found.bias):.3f} too {"high" if found.bias > 0 else "low"}. This does not '
    'matter for AP, which only depends on the order of the scores, but for every threshold.'
  )
  present = found.counts > 0
  reliability = charts.chart(
    'score',
    'share of right detections',
    [charts.Line('scores as probabilities', [0, 1], [0, 1], charts.GRAY, True)],
    [
      charts.Point('', float(x), float(y), charts.BLUE)  # At the mean score of each bin.
      for x, y in zip(found.mean_scores[present], found.precisions[present])
    ],
    [charts.Bars('share of right detections', found.precisions)],
  )
  shares = found.counts / found.counts.sum()
  histogram = charts.chart(
    'score',
    'share of all detections',
    bars=[charts.Bars('', np.where(present, shares, np.nan))],
  )
  section.gallery(
    [
      (
        reliability,
        'reliability diagram',
        'Reliability: bars below the diagonal are overconfident',
      ),
      (histogram, 'detections by score', f'Scores of {int(found.counts.sum()):,} detections'),
    ]
  )
