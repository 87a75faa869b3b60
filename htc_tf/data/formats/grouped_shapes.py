"""Objects of several shapes, which annotation tools mark by a group."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pycocotools import mask as coco_mask

from htc_tf.data import segmentation as segmentations
from htc_tf.data.annotation_file import Entry
from htc_tf.data.check_report import CheckReport
from htc_tf.data.formats.annotation_source import ContentBuilder
from htc_tf.data.formats.shapes import Polygon


class Shape(NamedTuple):
  """A polygon or a mask of an object.

  Attributes:
    label: name of the category.
    group: group of the shape; None if the shape is an object of its own.
    polygon: polygon; None for a mask.
    runs: compressed run lengths of the size of the image; None for a polygon.
  """

  label: str
  group: Any
  polygon: Polygon | None = None
  runs: dict[str, Any] | None = None


def add_grouped(
  builder: ContentBuilder, image: Entry, found: Sequence[Shape], report: CheckReport
) -> None:
  """Add the objects of an image; shapes of the same label and group are one object.

  Args:
    builder: builder of the internal form.
    image: entry of the image.
    found: shapes, in the order of the file.
    report: counts of the findings.
  """
  objects: dict[tuple[str, Any], list[Shape]] = {}
  for number, shape in enumerate(found):
    key = ('own', number) if shape.group is None else ('group', str(shape.group))
    objects.setdefault((shape.label, key), []).append(shape)
  for (label, _), parts in objects.items():
    if len(parts) > 1:
      report.add('shapes_grouped', f'{label} in {image["file_name"]}')
    _add(builder, image, label, parts)


def _add(builder: ContentBuilder, image: Entry, label: str, parts: list[Shape]) -> None:
  polygons = [part.polygon for part in parts if part.polygon is not None]
  masks = [part.runs for part in parts if part.runs is not None]
  if not masks:
    builder.add_polygons(image, label, polygons)
    return
  usable, _ = segmentations.clean(polygons, 1, 1)
  if usable is not None:
    masks.append(segmentations.to_rle(usable, image['height'], image['width']))
  merged = coco_mask.merge(masks)
  counts = merged['counts']
  text = counts.decode('ascii') if isinstance(counts, bytes) else counts
  builder.add_runs(image, label, {'size': merged['size'], 'counts': text})
