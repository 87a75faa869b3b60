"""Contact sheets: pictures of several records in one image."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from htc_tf.reports import sample_pictures
from htc_tf.reports.sample_pictures import Names, Shown
from htc_tf.visualization import labels, panels
from htc_tf.visualization.panels import SheetRow

CELL_SIDE = 480
_COLUMNS = 4

Cell = tuple[np.ndarray, str]


def record_sheet(heading: str, images: Sequence[Shown], names: Names) -> np.ndarray:
  """Records as stored, four pictures in a row; a semantic map stands beside its image.

  Args:
    heading: text above all.
    images: the images, at least one.
    names: names of their labels.
  """
  cells = [cell for shown in images for cell in _cells(shown, names)]
  rows = [SheetRow(cells[first : first + _COLUMNS]) for first in range(0, len(cells), _COLUMNS)]
  return panels.sheet(rows, CELL_SIDE, labels.single_line(heading))


def training_sheet(
  heading: str, views: Iterable[tuple[str, Sequence[Shown]]], names: Names
) -> np.ndarray:
  """Records as training gets them: a row of views for each record, their semantic maps below.

  Args:
    heading: text above all.
    views: name of each record, and its views.
    names: names of their labels.
  """
  rows = [row for name, images in views for row in _rows(name, images, names)]
  return panels.sheet(rows, CELL_SIDE, labels.single_line(heading))


def _rows(name: str, images: Sequence[Shown], names: Names) -> Iterator[SheetRow]:
  """A row of views, and one of their semantic maps if there are any."""
  pairs = [sample_pictures.draw(shown, names, CELL_SIDE) for shown in images]
  objects = [(drawn, shown.title) for (drawn, _), shown in zip(pairs, images)]
  yield SheetRow(objects, labels.single_line(name))
  maps = [semantic for _, semantic in pairs if semantic is not None]
  if maps:
    yield SheetRow([(semantic, 'semantic map') for semantic in maps])


def _cells(shown: Shown, names: Names) -> Iterator[Cell]:
  """The picture of the instances, and that of the semantic map if there is one."""
  objects, semantic = sample_pictures.draw(shown, names, CELL_SIDE)
  yield objects, labels.single_line(shown.title)
  if semantic is not None:
    yield semantic, 'semantic map'
