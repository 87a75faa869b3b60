"""The table and the figure of the ablation, from the figures of its runs."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import figures, pages
from benchmarks.ablation import rows

# Figures by row, one result per finished seed; see `runs.train`.
Results = Mapping[str, Sequence[Mapping[str, Any]]]

_COLUMNS = {
  'segm_AP': 'mask AP',
  'segm_AP50': 'mask AP50',
  'segm_AP75': 'mask AP75',
  'bbox_AP': 'box AP',
  'context_segm_AP': 'context mask AP',
  'other_segm_AP': 'other mask AP',
}


def markdown(results: Results) -> str:
  """The table in Markdown: mean and spread (largest less smallest) of the seeds, in percent.

  Args:
    results: results by name of the row; a row without any is marked as not run.
  """
  head = ['', *(f'{title}, %' for title in _COLUMNS.values()), 'seeds', 'min/run']
  lines = []
  for row in rows.ROWS.values():
    found = results.get(row.name, ())
    cells = [pages.mean_and_spread([run['figures'].get(key) for run in found]) for key in _COLUMNS]
    seconds = [run['seconds'] for run in found if 'seconds' in run]
    minutes = f'{statistics.mean(seconds) / 60:.1f}' if seconds else '-'
    lines.append([row.title, *cells, str(len(found)) if found else 'not run', minutes])
  return pages.table(head, lines)


def draw(path: str, results: Results) -> None:
  """Draw mask AP and box AP of each row: a dot for each seed, and a line at the mean.

  Args:
    path: file of the picture, which is replaced.
    results: results by name of the row.
  """
  drawing = figures.new(10, 4)
  titles = [row.title for row in rows.ROWS.values()]
  for place, key in zip(drawing.subplots(1, 2, sharey=True), ('segm_AP', 'bbox_AP')):
    for position, name in enumerate(rows.ROWS):
      values = [100 * run['figures'][key] for run in results.get(name, ())]
      if values:
        mean = statistics.mean(values)
        place.plot(values, [position] * len(values), 'o', color='tab:blue', alpha=0.7)
        place.plot([mean, mean], [position - 0.3, position + 0.3], color='black')
    place.set_yticks(range(len(titles)), titles)
    place.set_ylim(len(titles) - 0.5, -0.5)
    place.set_xlabel(f'{_COLUMNS[key]} in %')
    place.grid(axis='x', alpha=0.3)
  figures.write(drawing, path)
