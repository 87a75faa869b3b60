"""The figures of a COCO evaluation, and their table."""

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pycocotools import cocoeval

STANDARD_LIMIT = 100  # COCO's number of detections per image and category.
_RECALL_LIMITS = (1, 10, STANDARD_LIMIT)
_ROW_NAMES = {'bbox': 'box', 'segm': 'mask'}
_SIZES = {'s': 'small', 'm': 'medium', 'l': 'large'}
_BY_CATEGORY = '_by_category/'

_Measure = Callable[[cocoeval.COCOeval], float]


def limits(max_detections: int) -> list[int]:
  """COCO's limits of the number of detections, and `max_detections` if it is another one."""
  return sorted({*_RECALL_LIMITS, max_detections})


def summary(
  evaluation: cocoeval.COCOeval, prefix: str, max_detections: int = STANDARD_LIMIT
) -> dict[str, float]:
  """The 12 standard figures of COCO, and those at another number of detections.

  `COCOeval.summarize` is not used, because it prints, and knows no more than three limits. With 100
  as the largest limit, its figures are the same.

  Args:
    evaluation: evaluation after `accumulate()`, whose `params.maxDets` are
      `limits(max_detections)`.
    prefix: prefix of the keys, `bbox` or `segm`.
    max_detections: number of detections per image and category of the additional figures.

  Returns:
    The figures by key `<prefix>_AP`, `<prefix>_AP50` and so on, in COCO's order; then, unless
    `max_detections` is 100, `<prefix>_AP@<max_detections>` and so on. -1 if no annotation counts
    for a figure.
  """
  return {
    f'{prefix}_{name}': measure(evaluation) for name, measure in _measures(max_detections).items()
  }


def figure_names(prefixes: Sequence[str], max_detections: int = STANDARD_LIMIT) -> list[str]:
  """Keys of the figures of `summary`, for the given prefixes in turn."""
  return [f'{prefix}_{name}' for prefix in prefixes for name in _measures(max_detections)]


def _measures(max_detections: int) -> dict[str, _Measure]:
  """Functions from an evaluation to its figures, by name: COCO's, and those at another limit."""
  measures = _measures_at(STANDARD_LIMIT, _RECALL_LIMITS)
  if max_detections != STANDARD_LIMIT:
    own = _measures_at(max_detections, [max_detections])
    measures.update({at_limit(name, max_detections): measure for name, measure in own.items()})
  return measures


def _measures_at(limit: int, recall_limits: Sequence[int]) -> dict[str, _Measure]:
  """AP and recall at one limit, and the recall at each of several limits, in COCO's order."""
  precision = functools.partial(_mean_precision, limit=limit)
  recall = functools.partial(_mean_recall, limit=limit)
  return {
    'AP': precision,
    'AP50': functools.partial(precision, iou_threshold=0.5),
    'AP75': functools.partial(precision, iou_threshold=0.75),
    **{f'AP{letter}': functools.partial(precision, size=_SIZES[letter]) for letter in _SIZES},
    **{f'ARmax{count}': functools.partial(_mean_recall, limit=count) for count in recall_limits},
    **{f'AR{letter}': functools.partial(recall, size=_SIZES[letter]) for letter in _SIZES},
  }


def is_by_category(name: str, prefixes: Sequence[str]) -> bool:
  """Whether a key is that of the AP of a category, with one of the prefixes."""
  return name.startswith(tuple(f'{prefix}_AP' for prefix in prefixes)) and _BY_CATEGORY in name


def at_limit(name: str, max_detections: int) -> str:
  """The name of a figure at a number of detections; COCO's standard has the name alone."""
  if max_detections == STANDARD_LIMIT or name.startswith('ARmax'):
    return name
  return f'{name}@{max_detections}'


def average_precision_by_category(
  evaluation: cocoeval.COCOeval,
  names: Mapping[int, str],
  prefix: str,
  max_detections: int = STANDARD_LIMIT,
) -> dict[str, float]:
  """AP of each category, averaged over the IoU thresholds.

  Args:
    evaluation: evaluation after `accumulate()`.
    names: name of each category, by category id.
    prefix: prefix of the keys, `bbox` or `segm`.
    max_detections: another number of detections per image and category to give AP at.

  Returns:
    AP by key `<prefix>_AP_by_category/<name>`, in the order of `names`, then, unless
    `max_detections` is 100, by key `<prefix>_AP@<max_detections>_by_category/<name>`; -1 for a
    category without annotations.
  """
  positions = {category: index for index, category in enumerate(evaluation.params.catIds)}
  return {
    f'{prefix}_{at_limit("AP", limit)}{_BY_CATEGORY}{name}': _mean_precision(
      evaluation, limit, category_index=positions[category]
    )
    for limit in dict.fromkeys([STANDARD_LIMIT, max_detections])
    for category, name in names.items()
  }


def format_table(figures: Mapping[str, float]) -> str:
  """A table of figures: rows for boxes and masks at each limit, then a row per category.

  Args:
    figures: figures of `COCOEvaluator.result`; other keys are ignored.

  Returns:
    Lines of text with percentages to one decimal; `-` stands for -1.
  """
  rows: dict[str, dict[str, float]] = {}
  categories: dict[str, dict[str, float]] = {}
  for key, value in figures.items():
    prefix, _, name = key.partition('_')
    if prefix not in _ROW_NAMES:
      continue
    name, by_category, category = name.partition(_BY_CATEGORY)
    column, at, limit = name.partition('@')
    if by_category:
      categories.setdefault(category, {})[f'{_ROW_NAMES[prefix]} {name}'] = value
    else:
      rows.setdefault(f'{_ROW_NAMES[prefix]}{at}{limit}', {})[column] = value
  return '\n\n'.join(_format_rows(table) for table in (rows, categories) if table)


def _mean_precision(
  evaluation: cocoeval.COCOeval,
  limit: int,
  iou_threshold: float | None = None,
  size: str = 'all',
  category_index: int | None = None,
) -> float:
  """Mean precision at a number of detections per image and category.

  The mean is over recall, and over IoU thresholds and categories unless an argument selects one.
  """
  precision = evaluation.eval['precision']  # [iou, recall, category, size, max_detections]
  precision = precision[..., *_position(evaluation, size, limit)]
  if iou_threshold is not None:
    precision = precision[np.isclose(evaluation.params.iouThrs, iou_threshold)]
  if category_index is not None:
    precision = precision[:, :, category_index]
  return _mean_of_measured(precision)


def _mean_recall(evaluation: cocoeval.COCOeval, limit: int, size: str = 'all') -> float:
  """Mean of the largest recall over IoU thresholds and categories."""
  recall = evaluation.eval['recall']  # [iou, category, size, max_detections]
  return _mean_of_measured(recall[..., *_position(evaluation, size, limit)])


def _position(evaluation: cocoeval.COCOeval, size: str, limit: int) -> tuple[int, int]:
  """Indices of a size and a limit in the last two axes of COCOeval's arrays."""
  params = evaluation.params
  return params.areaRngLbl.index(size), params.maxDets.index(limit)


def _mean_of_measured(values: np.ndarray) -> float:
  """Mean of the values other than -1, with which COCO marks cases without annotations."""
  measured = values[values > -1]
  return float(np.mean(measured)) if measured.size else -1.0


def _format_rows(rows: Mapping[str, Mapping[str, float]]) -> str:
  """A header and one line per row, with columns as wide as their texts."""
  columns = list(dict.fromkeys(column for row in rows.values() for column in row))
  first = max(map(len, rows))
  lines = [' ' * first + ''.join(f'  {column:>5}' for column in columns)]
  for name, row in rows.items():
    cells = [f'{100 * row[column]:.1f}' if row.get(column, -1) >= 0 else '-' for column in columns]
    lines.append(
      f'{name:<{first}}'
      + ''.join(f'  {cell:>{max(5, len(column))}}' for cell, column in zip(cells, columns))
    )
  return '\n'.join(lines)
