"""The figures of each class as rows, for the page, the CSV file and the JSON file."""

from typing import Any, NamedTuple

from htc_tf.evaluation.analysis import Analysis

# Names of the kinds of overlap; that of masks decides where there are masks.
REGIONS = {'segm': 'mask', 'bbox': 'box'}


class ClassRow(NamedTuple):
  """The figures of one class; figures are in [0, 1], and None if the class has no object.

  Attributes:
    name: name of the class.
    category_id: its category id.
    num_images: number of images with an object of it.
    num_objects: number of its objects, without crowd regions.
    by_region: AP, AP50 and AR by 'mask' and 'box'.
    threshold: score threshold that maximizes F1; None if no detection is right.
    precision: precision at this threshold.
    recall: recall at this threshold.
    f1: F1 at this threshold.
  """

  name: str
  category_id: int
  num_images: int
  num_objects: int
  by_region: dict[str, tuple[float | None, float | None, float | None]]
  threshold: float | None
  precision: float | None
  recall: float | None
  f1: float | None

  @property
  def ap(self) -> float | None:
    """AP of masks, or of boxes if there are no masks."""
    return next(iter(self.by_region.values()))[0]


def class_rows(analysis: Analysis) -> list[ClassRow]:
  """The figures of all classes, in the order of their category ids."""
  regions = {
    name: analysis.by_region[key].class_curves
    for key, name in REGIONS.items()
    if key in analysis.by_region
  }
  rows = []
  for label, (name, category_id) in enumerate(zip(analysis.names, analysis.category_ids)):
    num_objects, point = int(analysis.num_objects[label]), analysis.class_points[label]
    by_region = {region: _figures(curves[label]) for region, curves in regions.items()}
    at_threshold = point[1:] if num_objects else (None, None, None)
    num_images = int(analysis.num_images_of[label])
    rows.append(
      ClassRow(
        name, category_id, num_images, num_objects, by_region, point.threshold, *at_threshold
      )
    )
  return rows


def columns(analysis: Analysis) -> list[str]:
  """The names of the values of `as_dict`, which are the columns of the CSV file."""
  regions = [name for key, name in REGIONS.items() if key in analysis.by_region]
  figures = [f'{region}_{figure}' for region in regions for figure in ('AP', 'AP50', 'AR')]
  head = ['class', 'category_id', 'images', 'instances']
  return [*head, *figures, 'best_threshold', 'precision', 'recall', 'F1']


def as_dict(row: ClassRow, names: list[str]) -> dict[str, Any]:
  """The values of a class by the names of `columns`."""
  figures = [figure for region in row.by_region.values() for figure in region]
  head = (row.name, row.category_id, row.num_images, row.num_objects)
  values = [*head, *figures, row.threshold, row.precision, row.recall, row.f1]
  return dict(zip(names, values))


def _figures(curves: Any) -> tuple[float | None, float | None, float | None]:
  return (None, None, None) if curves is None else (curves.ap, curves.ap50, curves.ar)
