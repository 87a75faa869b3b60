"""The curves of a training, `results.png` in its model directory."""

import io
import os
from collections.abc import Mapping, Sequence

from matplotlib import axes, figure, ticker
from matplotlib.backends import backend_agg

from htc_tf import files
from htc_tf.training import report

PLOT_FILE = 'results.png'
_SIZE_INCHES = (12, 7.5)
_DPI = 110
_FIGURES = {'AP': '-', 'AP50': '--', 'AP75': ':'}

Row = Mapping[str, float]


def write(model_dir: str, rows: Sequence[Row]) -> None:
  """Draw losses, learning rate, box AP and mask AP over the epochs; replace the file.

  Args:
    model_dir: the model directory.
    rows: rows of the table of results, in the order of their steps.
  """
  rows = [row for row in rows if 'epoch' in row]  # An edited table may lack it.
  # The figure is not one of pyplot's, which would keep it, and choose a backend for all.
  drawing = figure.Figure(figsize=_SIZE_INCHES, layout='constrained')
  backend_agg.FigureCanvasAgg(drawing)
  losses, rate, boxes, masks = drawing.subplots(2, 2).ravel()
  _draw_losses(losses, rows)
  _draw(rate, rows, {'learning_rate': ('learning rate', '-')}, 'learning rate')
  for place, (kind, name) in zip((boxes, masks), report.AP_KINDS.items()):
    lines = {f'{kind}_{label}': (label, style) for label, style in _FIGURES.items()}
    _draw(place, rows, lines, f'{name} AP in %', scale=100, marker='.')
    place.set_ylim(bottom=0)
    place.set_xlim(losses.get_xlim())
  content = io.BytesIO()
  drawing.savefig(content, format='png', dpi=_DPI)
  files.write_bytes(os.path.join(model_dir, PLOT_FILE), content.getvalue())


def _draw_losses(place: axes.Axes, rows: Sequence[Row]) -> None:
  """Draw the loss and its parts on a logarithmic scale, if all of it can be."""
  lines = {'total_loss': ('total, without weight decay', '-')}
  lines.update({f'{part}_loss': (part, '-') for part in report.PARTS})
  _draw(place, rows, lines, 'loss')
  drawn = [row[name] for row in rows for name in lines if name in row]
  if drawn and min(drawn) > 0:
    place.set_yscale('log')
    place.yaxis.set_major_formatter(ticker.FormatStrFormatter('%g'))


def _draw(
  place: axes.Axes,
  rows: Sequence[Row],
  lines: Mapping[str, tuple[str, str]],
  title: str,
  scale: float = 1,
  marker: str = '',
) -> None:
  """Draw columns of the rows over the epochs.

  Args:
    place: where to draw.
    rows: the rows; one without a value, or with -1 for none, is left out.
    lines: label and style of each column.
    title: title of the drawing.
    scale: factor on the values.
    marker: marker of each value; a line of one value always has one.
  """
  for name, (label, style) in lines.items():
    points = [(row['epoch'], scale * row[name]) for row in rows if row.get(name, -1) >= 0]
    if points:
      single = 'o' if len(points) == 1 else marker
      place.plot(*zip(*points), style, label=label, marker=single, linewidth=1.2)
  place.set_title(title, fontsize=11)
  place.set_xlabel('epoch')
  place.grid(alpha=0.3)
  if place.get_lines():
    place.legend(fontsize=8)
  else:
    place.text(0.5, 0.5, 'not evaluated yet', ha='center', transform=place.transAxes, color='gray')
