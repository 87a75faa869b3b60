"""The tables and the figure of the comparison, from the results of its seeds."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import figures, pages
from benchmarks.beside_original import jobs, recipe
from parity import loss_names

# Results of `jobs.run`, one for each finished training, with `seed` and `choice` of its recipe.
Results = Sequence[Mapping[str, Any]]

_ROWS = {
  recipe.ORIGINAL: 'trained and evaluated by mmdetection 3.3.0',
  jobs.HERE: 'trained by mmdetection, evaluated here',
  recipe.OURS: 'trained and evaluated here',
}
_COLUMNS = {
  'segm_AP': 'mask AP',
  'segm_AP50': 'mask AP50',
  'segm_AP75': 'mask AP75',
  'bbox_AP': 'box AP',
  'bbox_AP50': 'box AP50',
  'bbox_AP75': 'box AP75',
}
_CHOICE_COLUMNS = ('segm_AP', 'bbox_AP')
_COLORS = {recipe.ORIGINAL: 'tab:orange', recipe.OURS: 'tab:blue'}
_LABELS = {recipe.ORIGINAL: 'mmdetection 3.3.0', recipe.OURS: 'htc_tf'}
_DRAWN = {
  loss_names.TOTAL: 'sum of all losses',
  'rpn_class_loss': 'RPN, class',
  'semantic_loss': 'semantic branch',
  'stage0_class_loss': 'stage 1, class',
  'stage1_box_loss': 'stage 2, box',
  'stage2_mask_loss': 'stage 3, mask',
}
_WINDOW = 25  # Steps of the running mean of a curve.


def markdown(results: Results) -> str:
  """Figures of the trained models, and checks of the first steps, in Markdown.

  Args:
    results: results of the finished trainings.
  """
  parts = [_figures(_of_seeds(results)), *_of_choices(results), _checks(results)]
  return '\n'.join(parts)


def _of_seeds(results: Results) -> Results:
  """The results of the trainings of each seed without another choice of anchors and RoIs."""
  return [result for result in results if result['choice'] is None]


def _of_choices(results: Results) -> Iterator[str]:
  """For each seed with several choices, a table of all its trainings."""
  for seed in sorted({result['seed'] for result in results if result['choice'] is not None}):
    yield trainings([result for result in results if result['seed'] == seed], 'validation')


def trainings(results: Results, pictures: str) -> str:
  """A table of every training by side, with means and their difference.

  Args:
    results: results, of which only the `figures` of both sides, `seed` and `choice` are read.
    pictures: name of the pictures that the figures are those of.
  """
  lines = []
  for name in (recipe.ORIGINAL, recipe.OURS):
    values = [[100 * value for value in _values(results, name, key)] for key in _CHOICE_COLUMNS]
    lines.append([_LABELS[name], *map(_sorted_text, values)])
  if len(results) > 1:
    cells = [_welch(results, key) for key in _CHOICE_COLUMNS]
    lines.append(['difference of the means ± its standard error', *cells])
  seeds = ', '.join(sorted({str(result['seed']) for result in results}))
  title = f'{pictures}, {len(results)} trainings of seed {seeds}: mean (each)'
  return pages.table([title, *(f'{_COLUMNS[key]}, %' for key in _CHOICE_COLUMNS)], lines)


def _sorted_text(values: Sequence[float]) -> str:
  return f'{statistics.mean(values):.1f} ({", ".join(f"{value:.1f}" for value in sorted(values))})'


def _welch(results: Results, key: str) -> str:
  """Text such as '-0.3 ± 0.4', in percent: the mean here less that of mmdetection."""
  sides = [_values(results, name, key) for name in (recipe.OURS, recipe.ORIGINAL)]
  ours, original = map(statistics.mean, sides)
  error = math.sqrt(sum(statistics.variance(values) / len(values) for values in sides))
  return f'{100 * (ours - original):+.1f} ± {100 * error:.1f}'


def _figures(results: Results) -> str:
  """Mean and spread of the seeds in percent, and difference of the means of both sides."""
  head = ['', *(f'{title}, %' for title in _COLUMNS.values()), 'seeds', 's/step']
  lines = []
  for name, title in _ROWS.items():
    cells = [pages.mean_and_spread(_values(results, name, key)) for key in _COLUMNS]
    lines.append([title, *cells, str(len(results)), _seconds_per_step(results, name)])
  if len(results) > 1:
    cells = [_difference(results, key) for key in _COLUMNS]
    lines.append(['last row less first / larger spread', *cells, '', ''])
  return pages.table(head, lines)


def _values(results: Results, name: str, key: str) -> list[float]:
  return [result['figures'][name][key] for result in results]


def _seconds_per_step(results: Results, name: str) -> str:
  """Mean time of a step of a side; '' for a row that nothing was trained for."""
  found = [
    result['seconds'][name] / len(result['losses'][name][loss_names.TOTAL])
    for result in results
    if name in result['seconds']
  ]
  return f'{statistics.mean(found):.2f}' if found else ''


def _difference(results: Results, key: str) -> str:
  """Text such as '+0.4 / 1.3', in percent."""
  ours, original = (_values(results, name, key) for name in (recipe.OURS, recipe.ORIGINAL))
  difference = 100 * (statistics.mean(ours) - statistics.mean(original))
  spread = 100 * max(max(values) - min(values) for values in (ours, original))
  return f'{difference:+.1f} / {spread:.1f}'


def _checks(results: Results) -> str:
  """The largest measured difference of each check over the seeds."""
  lines = []
  for checks in zip(*(result['checks'] for result in results)):
    measured = max(check['measured'] for check in checks)
    lines.append([checks[0]['name'], f'{measured:.1e}', f'{checks[0]["bar"]:.0e}'])
  return pages.table(['first steps, largest of all seeds', 'measured', 'bar'], lines)


def draw(path: str, results: Results) -> None:
  """Draw the losses of all trainings: a line for each seed and side, as running means.

  Args:
    path: file of the picture, which is replaced.
    results: results of the finished trainings.
  """
  results = _of_seeds(results)
  drawing = figures.new(10, 5.5)
  for place, (name, title) in zip(drawing.subplots(2, 3).flat, _DRAWN.items()):
    for side, color in _COLORS.items():
      for number, result in enumerate(results):
        curve = _running_mean(result['losses'][side][name])
        label = _LABELS[side] if number == 0 else None
        steps = np.arange(len(curve)) + 1 + len(result['losses'][side][name]) - len(curve)
        place.plot(steps, curve, color=color, alpha=0.7, linewidth=0.9, label=label)
    place.set_title(title, fontsize=10)
    place.set_ylim(bottom=0)
    place.set_xlabel('step')
    place.grid(alpha=0.3)
    place.legend(fontsize=8)
  figures.write(drawing, path)


def _running_mean(values: Sequence[float]) -> np.ndarray:
  window = min(_WINDOW, len(values))
  return np.convolve(values, np.full(window, 1 / window), mode='valid')
