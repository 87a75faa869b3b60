"""The kinds of JSON annotation files, recognized by their content."""

from typing import Any

_COCO_KEYS = ('images', 'annotations', 'categories')
_VIA_3_KEYS = {'project', 'metadata', 'view', 'attribute'}


def kind_of(content: Any) -> str | None:
  """The kind of a JSON file: 'coco', 'panoptic', 'labelme', 'via', 'via3', 'cityscapes' or None.

  Args:
    content: the parsed file.
  """
  if not isinstance(content, dict):
    return None
  tests = (
    ('panoptic', _is_panoptic(content)),
    ('coco', isinstance(content.get('images'), list) and 'categories' in content),
    ('labelme', isinstance(content.get('shapes'), list) and _COCO_KEYS[0] not in content),
    ('cityscapes', isinstance(content.get('objects'), list) and 'imgHeight' in content),
    ('via3', content.keys() >= _VIA_3_KEYS),
    ('via', via_entries(content) is not None),
  )
  return next((kind for kind, holds in tests if holds), None)


def via_entries(content: dict[str, Any]) -> dict[str, Any] | None:
  """The entries of a file of VGG Image Annotator, by key; None for other content.

  Args:
    content: a project, or exported annotations.
  """
  entries = content.get('_via_img_metadata')
  if isinstance(entries, dict):
    return entries
  values = list(content.values())
  is_via = values and all(isinstance(item, dict) and 'regions' in item for item in values)
  return content if is_via else None


def _is_panoptic(content: dict[str, Any]) -> bool:
  annotations = content.get('annotations')
  if not isinstance(annotations, list) or not isinstance(content.get('categories'), list):
    return False
  first = next((entry for entry in annotations if isinstance(entry, dict)), {})
  return 'segments_info' in first
