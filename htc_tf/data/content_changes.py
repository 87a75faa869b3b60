"""Changes of annotations that options of the conversion ask for: masks from boxes, no crowds."""

from htc_tf.data import json_values
from htc_tf.data import segmentation as segmentations
from htc_tf.data.annotation_file import Entry
from htc_tf.data.check_report import CheckReport
from htc_tf.data.formats import shapes


def apply(
  content: Entry, boxes_as_masks: bool, crowds_as_instances: bool, report: CheckReport
) -> Entry:
  """The content of a COCO instances file with changed annotations.

  Args:
    content: content of the file; it is not changed.
    boxes_as_masks: whether the box of an annotation without a mask becomes its mask.
    crowds_as_instances: whether crowd regions become instances.
    report: counts of the changes.
  """
  entries = content.get('annotations')
  if not isinstance(entries, list) or not (boxes_as_masks or crowds_as_instances):
    return content
  changes = [
    change
    for change, asked in ((_with_mask, boxes_as_masks), (_without_crowd, crowds_as_instances))
    if asked
  ]
  for change in changes:
    entries = [change(entry, report) if isinstance(entry, dict) else entry for entry in entries]
  return {**content, 'annotations': entries}


def _with_mask(entry: Entry, report: CheckReport) -> Entry:
  """The annotation with the rectangle of its box as its mask, if it has no other."""
  found, _ = segmentations.normalize(entry.get('segmentation'))
  has_mask = isinstance(found, dict) or segmentations.clean(found, 1, 1)[0] is not None
  box = entry.get('bbox')
  if has_mask or not isinstance(box, list) or len(box) != 4:
    return entry
  numbers = [number for value in box if (number := json_values.number(value)) is not None]
  if len(numbers) != 4 or min(numbers[2:]) <= 0:
    return entry
  report.add('box_as_mask', f'annotation {entry.get("id")}')
  left, top, width, height = numbers
  polygon = shapes.rectangle(left, top, left + width, top + height)
  return {**entry, 'segmentation': [polygon]}


def _without_crowd(entry: Entry, report: CheckReport) -> Entry:
  if not json_values.flag(entry.get('iscrowd')):
    return entry
  report.add('crowd_as_instance', f'annotation {entry.get("id")}')
  return {**entry, 'iscrowd': 0}
