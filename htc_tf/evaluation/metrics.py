"""The figures of a COCO evaluation, and their table."""

from collections.abc import Mapping, Sequence

import numpy as np
from pycocotools import cocoeval

_ROW_NAMES = {'bbox': 'box', 'segm': 'mask'}
_SIZES = {'s': 'small', 'm': 'medium', 'l': 'large'}
_BY_CATEGORY = 'AP_by_category/'


def summary(evaluation: cocoeval.COCOeval, prefix: str) -> dict[str, float]:
  """The 12 standard figures of COCO.

  `COCOeval.summarize` is not used, because it prints, and gives -1 for AP unless the number of
  detections per image is 100. With 100, its figures are the same.

  Args:
    evaluation: evaluation after `accumulate()`.
    prefix: prefix of the keys, `bbox` or `segm`.

  Returns:
    The figures by key `<prefix>_AP`, `<prefix>_AP50` and so on, in COCO's order; -1 if no
    annotation counts for a figure.
  """
  figures = {
    'AP': _mean_precision(evaluation),
    'AP50': _mean_precision(evaluation, iou_threshold=0.5),
    'AP75': _mean_precision(evaluation, iou_threshold=0.75),
  }
  for letter, size in _SIZES.items():
    figures[f'AP{letter}'] = _mean_precision(evaluation, size=size)
  for index, max_detections in enumerate(evaluation.params.maxDets):
    figures[f'ARmax{max_detections}'] = _mean_recall(evaluation, max_detections_index=index)
  for letter, size in _SIZES.items():
    figures[f'AR{letter}'] = _mean_recall(evaluation, size=size)
  return {f'{prefix}_{name}': value for name, value in figures.items()}


def figure_names(prefixes: Sequence[str]) -> list[str]:
  """Keys of the standard figures, for the given prefixes in turn."""
  sizes = list(_SIZES)
  names = ['AP', 'AP50', 'AP75', *(f'AP{letter}' for letter in sizes)]
  names += [f'ARmax{count}' for count in cocoeval.Params().maxDets]
  names += [f'AR{letter}' for letter in sizes]
  return [f'{prefix}_{name}' for prefix in prefixes for name in names]


def is_by_category(name: str, prefixes: Sequence[str]) -> bool:
  """Whether a key is that of the AP of a category, with one of the prefixes."""
  return name.startswith(tuple(f'{prefix}_{_BY_CATEGORY}' for prefix in prefixes))


def average_precision_by_category(
  evaluation: cocoeval.COCOeval, names: Mapping[int, str], prefix: str
) -> dict[str, float]:
  """AP of each category, averaged over the IoU thresholds.

  Args:
    evaluation: evaluation after `accumulate()`.
    names: name of each category, by category id.
    prefix: prefix of the keys, `bbox` or `segm`.

  Returns:
    AP by key `<prefix>_AP_by_category/<name>`, in the order of `names`; -1 for a category without
    annotations.
  """
  positions = {category: index for index, category in enumerate(evaluation.params.catIds)}
  return {
    f'{prefix}_{_BY_CATEGORY}{name}': _mean_precision(
      evaluation, category_index=positions[category]
    )
    for category, name in names.items()
  }


def format_table(figures: Mapping[str, float]) -> str:
  """A table of figures: a row for boxes, a row for masks, then a row per category.

  Args:
    figures: figures of `COCOEvaluator.result`; other keys are ignored.

  Returns:
    Lines of text with percentages to one decimal; `-` stands for -1.
  """
  rows: dict[str, dict[str, float]] = {}
  for key, value in figures.items():
    prefix, _, name = key.partition('_')
    if prefix in _ROW_NAMES:
      rows.setdefault(prefix, {})[name] = value
  standard = {
    _ROW_NAMES[prefix]: {
      name: value for name, value in row.items() if not name.startswith(_BY_CATEGORY)
    }
    for prefix, row in rows.items()
  }
  categories: dict[str, dict[str, float]] = {}
  for prefix, row in rows.items():
    for name, value in row.items():
      if name.startswith(_BY_CATEGORY):
        categories.setdefault(name[len(_BY_CATEGORY) :], {})[f'{_ROW_NAMES[prefix]} AP'] = value
  return '\n\n'.join(_format_rows(table) for table in (standard, categories) if table)


def _mean_precision(
  evaluation: cocoeval.COCOeval,
  iou_threshold: float | None = None,
  size: str = 'all',
  category_index: int | None = None,
) -> float:
  """Mean precision at the largest number of detections.

  The mean is over recall, and over IoU thresholds and categories unless an argument selects one.
  """
  precision = evaluation.eval['precision']  # [iou, recall, category, size, max_detections]
  precision = precision[..., evaluation.params.areaRngLbl.index(size), -1]
  if iou_threshold is not None:
    precision = precision[np.isclose(evaluation.params.iouThrs, iou_threshold)]
  if category_index is not None:
    precision = precision[:, :, category_index]
  return _mean_of_measured(precision)


def _mean_recall(
  evaluation: cocoeval.COCOeval, size: str = 'all', max_detections_index: int = -1
) -> float:
  """Mean of the largest recall over IoU thresholds and categories."""
  recall = evaluation.eval['recall']  # [iou, category, size, max_detections]
  return _mean_of_measured(
    recall[..., evaluation.params.areaRngLbl.index(size), max_detections_index]
  )


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
