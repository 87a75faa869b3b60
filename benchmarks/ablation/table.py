"""The table and the figure of the ablation, from the figures of its runs."""

import io
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import figure
from matplotlib.backends import backend_agg

from benchmarks.ablation import rows
from htc_tf import files

# Figures by row, one result per finished seed; see `runs.train`.
Results = Mapping[str, Sequence[Mapping[str, Any]]]

_COLUMNS = {
  'segm_AP': 'mask AP',
  'segm_AP50': 'mask AP50',
  'segm_AP75': 'mask AP75',
  'bbox_AP': 'box AP',
}


def markdown(results: Results) -> str:
  """The table in Markdown: mean and spread (largest less smallest) of the seeds, in percent.

  Args:
    results: results by name of the row; a row without any is marked as not run.
  """
  head = ['', *(f'{title}, %' for title in _COLUMNS.values()), 'seeds', 'min/run']
  lines = [head, ['---'] * len(head)]
  for row in rows.ROWS.values():
    found = results.get(row.name, ())
    cells = [mean_and_spread([run['figures'].get(key) for run in found]) for key in _COLUMNS]
    minutes = f'{statistics.mean(run["seconds"] for run in found) / 60:.1f}' if found else '-'
    lines.append([row.title, *cells, str(len(found)) if found else 'not run', minutes])
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines) + '\n'


def mean_and_spread(values: Sequence[float | None]) -> str:
  """Text such as '41.2 (1.3)'; without a spread if there is one value, '-' without any."""
  known = [100 * value for value in values if value is not None]
  if not known:
    return '-'
  spread = f' ({max(known) - min(known):.1f})' if len(known) > 1 else ''
  return f'{statistics.mean(known):.1f}{spread}'


def draw(path: str, results: Results) -> None:
  """Draw mask AP and box AP of each row: a dot for each seed, and a line at the mean.

  Args:
    path: file of the picture, which is replaced.
    results: results by name of the row.
  """
  drawing = figure.Figure(figsize=(10, 4), layout='constrained')
  backend_agg.FigureCanvasAgg(drawing)
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
  content = io.BytesIO()
  drawing.savefig(content, format='png', dpi=110, metadata={'Software': None})
  files.write_bytes(path, content.getvalue())
