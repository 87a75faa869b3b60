"""Figures of benchmarks, as PNG files that are the same for the same content."""

import io

from matplotlib import figure
from matplotlib.backends import backend_agg

from htc_tf import files

_DOTS_PER_INCH = 110


def new(width: float, height: float) -> figure.Figure:
  """An empty figure that no window shows.

  Args:
    width: width in inches.
    height: height in inches.
  """
  drawing = figure.Figure(figsize=(width, height), layout='constrained')
  backend_agg.FigureCanvasAgg(drawing)
  return drawing


def write(drawing: figure.Figure, path: str) -> None:
  """Write a figure as a PNG file, which is replaced as a whole."""
  content = io.BytesIO()
  drawing.savefig(content, format='png', dpi=_DOTS_PER_INCH, metadata={'Software': None})
  files.write_bytes(path, content.getvalue())
