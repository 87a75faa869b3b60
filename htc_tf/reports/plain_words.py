"""What an evaluation says in plain words: what costs most, and what to do about it."""

from collections.abc import Sequence

import numpy as np

from htc_tf.evaluation import confusion
from htc_tf.evaluation.analysis import Analysis
from htc_tf.evaluation.error_kinds import ErrorKind
from htc_tf.reports.class_table import ClassRow

_MIN_COST = 0.01  # of AP50; smaller costs are within the noise of most data sets.
_FEW_OBJECTS = 100
_FEW_IN_CLASS = 20
_LARGE_GAP = 0.15
_LARGE_BIAS = 0.1

# What each kind of error means.
MEANINGS = {
  ErrorKind.CLASSIFICATION: 'on an object (IoU of at least 0.5), but with the wrong class',
  ErrorKind.LOCALIZATION: 'right class, but the region fits badly (IoU from 0.1 to 0.5)',
  ErrorKind.BOTH: 'near an object of another class (IoU from 0.1 to 0.5)',
  ErrorKind.DUPLICATE: 'on an object that a detection with a higher score has found',
  ErrorKind.BACKGROUND: 'on no object (IoU of at most 0.1)',
  ErrorKind.MISSED: 'objects on which there is neither a right nor a nearly right detection',
}
_PHRASES = {
  ErrorKind.CLASSIFICATION: 'objects that get the wrong class',
  ErrorKind.LOCALIZATION: 'detections that fit their object badly',
  ErrorKind.BOTH: 'detections near an object of another class',
  ErrorKind.DUPLICATE: 'repeated detections of one object',
  ErrorKind.BACKGROUND: 'detections where no object is annotated',
  ErrorKind.MISSED: 'objects that are missed',
}
_REMEDIES = {
  ErrorKind.CLASSIFICATION: 'Check whether the annotations keep these classes apart. If they do, '
  'add examples of the classes that are confused; if people cannot tell them apart either, merge '
  'them.',
  ErrorKind.LOCALIZATION: 'Look at the worst images: are boxes and outlines drawn in the same '
  'way everywhere, and are touching objects annotated one by one? Otherwise train longer, or with '
  'larger images (parser.min_sizes and parser.max_size), most of all if the objects are small.',
  ErrorKind.BOTH: 'These mostly vanish together with errors of localization and classification.',
  ErrorKind.DUPLICATE: 'Lower task.model.detection_generator.nms_threshold (0.5 by default), '
  'unless objects of a class overlap much.',
  ErrorKind.BACKGROUND: 'Look at the worst images: if these detections are objects, annotations '
  'are missing; complete them. If they are not, add images that show such places without objects, '
  'or use a higher score threshold.',
  ErrorKind.MISSED: 'Look at the red objects of the worst images: if they are small, train and '
  'evaluate with larger images; if they look unlike the training data, add such examples; if '
  'they are cut by the border or hardly visible, annotate such objects alike everywhere. '
  'Otherwise train longer.',
}


def counted(count: int, singular: str, plural: str = '') -> str:
  """A number and what is counted, such as '1 object' or '2,000 objects'."""
  return f'{count:,} {singular if count == 1 else plural or singular + "s"}'


def costliest(analysis: Analysis) -> list[ErrorKind]:
  """The kinds of errors that cost something, the costliest first."""
  costs = analysis.main.errors.by_kind
  costly = [kind for kind in costs if costs[kind] >= _MIN_COST]
  return sorted(costly, key=lambda kind: -costs[kind])


def conclusion(analysis: Analysis) -> str:
  """One paragraph that says what costs most and what to do."""
  if not analysis.num_objects.any():
    return (
      'The annotations have no objects of these classes, so that there is nothing to find and no '
      'figure. Likely cause: the annotations of a test set, or of other classes.'
    )
  if not analysis.num_detections:
    return (
      'Nothing was detected at all. Likely causes: a training that has just begun or that diverged '
      '(look at its loss), weights that were not loaded, or a high '
      'task.model.detection_generator.score_threshold.'
    )
  if not any(image.matches.max(initial=-1) >= 0 for image in analysis.main.images):
    return (
      f'None of the {analysis.num_detections:,} detections lies on an object of its class. Likely '
      'causes: a training that has just begun or that diverged, results for other images or other '
      'category ids, or boxes of another form than [x, y, width, height]. Look at the worst images '
      'below.'
    )
  return _losses(analysis)


def remarks(analysis: Analysis, rows: Sequence[ClassRow]) -> list[str]:
  """Further sentences: confused classes, sizes, classes with a low AP, scores, few objects."""
  if not analysis.num_objects.any() or not analysis.num_detections:
    return []
  found = [
    _confused(analysis),
    _by_size(analysis),
    _low_classes(rows),
    _scores(analysis),
    _few_objects(analysis),
  ]
  return [sentence for sentence in found if sentence]


def _losses(analysis: Analysis) -> str:
  errors, kinds = analysis.main.errors, costliest(analysis)
  region = 'mask' if analysis.main_type == 'segm' else 'box'
  lead = (
    f'At IoU 0.5 the {region} AP is {100 * errors.ap50:.1f}, so that {100 * (1 - errors.ap50):.1f} '
    'points are missing. '
  )
  if not kinds:
    return lead + (
      'No kind of error costs a point; what is left is how exactly the regions fit (AP75 and AP).'
    )
  parts = [f'{_PHRASES[kind]} ({100 * errors.by_kind[kind]:.1f} points)' for kind in kinds]
  most = f'Most is lost to {parts[0]}'
  if len(parts) > 1:
    most += f', then to {parts[1]}'
  return f'{lead}{most}. {_REMEDIES[kinds[0]]}'


def _confused(analysis: Analysis) -> str:
  """The most frequent confusion of two classes, if classification costs something."""
  if ErrorKind.CLASSIFICATION not in costliest(analysis):
    return ''
  classes = analysis.confusion[:-1, :-1]
  largest = confusion.largest_confusions(classes, 2)
  if not largest:
    return ''
  names = analysis.names
  pairs = [f'{names[row]} for {names[column]} ({count})' for row, column, count in largest]
  return f'Most often taken for each other: {", ".join(pairs)}.'


def _by_size(analysis: Analysis) -> str:
  figures = {
    size: analysis.figures[f'{analysis.main_type}_AP{size[0]}'] for size in analysis.objects_by_size
  }
  known = {size: value for size, value in figures.items() if value >= 0}
  if len(known) < 2:
    return ''
  worst, best = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
  if known[best] - known[worst] < _LARGE_GAP:
    return ''
  count = analysis.objects_by_size[worst]
  return (
    f'AP of {counted(count, f"{worst} object")} is much lower than that of the {best} ones: '
    f'{100 * known[worst]:.1f} against {100 * known[best]:.1f}.'
    + (' Larger input images help small objects.' if worst == 'small' else '')
  )


def _low_classes(rows: Sequence[ClassRow]) -> str:
  known = [row for row in rows if row.ap is not None]
  aps = [row.ap or 0.0 for row in known]
  if len(known) < 2 or max(aps) - min(aps) < _LARGE_GAP:
    return ''
  lowest = sorted(known, key=lambda row: row.ap or 0.0)[: min(3, len(known) - 1)]
  low = [row for row in lowest if (row.ap or 0.0) < float(np.mean(aps))]
  texts = [
    f'{row.name} ({100 * (row.ap or 0.0):.1f}, {counted(row.num_objects, "object")})' for row in low
  ]
  return f'Classes with the lowest AP: {", ".join(texts)}.'


def _scores(analysis: Analysis) -> str:
  if analysis.calibration is None:
    return 'Scores are no probabilities: choose thresholds from the table of classes.'
  bias = analysis.calibration.bias
  if abs(bias) < _LARGE_BIAS:
    return ''
  return (
    f'Scores are {"too high" if bias > 0 else "too low"} by {abs(bias):.2f} on average: do not '
    'read them as probabilities, and choose thresholds from the table of classes.'
  )


def _few_objects(analysis: Analysis) -> str:
  total = int(analysis.num_objects.sum())
  if total < _FEW_OBJECTS:
    return (
      f'There {"is" if total == 1 else "are"} only {counted(total, "object")}: the figures would '
      'change by several points with other images of the same kind.'
    )
  few = sum(1 for count in analysis.num_objects if 0 < count < _FEW_IN_CLASS)
  if few:
    return (
      f'Classes with fewer than {_FEW_IN_CLASS} objects: {few} of {len(analysis.names)}; their '
      'figures are uncertain.'
    )
  return ''
