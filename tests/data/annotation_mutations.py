"""Small valid annotation files, and files with one changed value made from them."""

import contextlib
import copy
import json
import math

import numpy as np
from pycocotools import mask as coco_mask

from tests.data.conftest import annotation

# Height and width of the images with the ids 1, 2, 3 and 4.
SIZES_HW = ((24, 32), (32, 24), (20, 20), (24, 32))
# Sections, as often as they are changed.
_SECTIONS = ('annotations',) * 10 + ('images',) * 6 + ('categories',) * 3 + ('info',)
_VALUES = (
  *(None, True, False, 0, 1, -1, 2, 7, 1.0, 0.5, -0.0, 1e-300, 1e300, -1e300, 3.5e38, 10**9),
  *(2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10**40, 10**400),
  *(math.nan, math.inf, -math.inf),
  *('', ' ', '0', '1', '1.0', ' 7 ', '1e3', 'nan', '-1', '9' * 40, '9' * 5000, 'false', 'no', 'x'),
  *('\udcff', '\ud800', 'b\u00e4ume.png', 'a\u0308', '\u00b2', '\u0661', '\0', '../a.png'),
  *('/a.png', 'x' * 300, 'a/b.png', '.', '2.png', '\U0001f9ec'),
  *([], {}, [[]], [[[]]], [None], [0], [1, 2, 3, 4], ['1', '2', '3', '4'], {'size': [24, 32]}),
  *([[1, 1], [9, 1], [9, 9]], [[1, 1, 9, 1, 9, 9]], [1, 1, 9, 1, 9, 9], [[1, 1, 9, 9]]),
  *({'size': [24, 32], 'counts': [768]}, {'size': [24, 32], 'counts': 'xyz'}, {'counts': []}),
)


def bases():
  """Content of valid annotation files, and whether they have masks, by name."""
  masks = _with_masks()
  boxes, unmeasured, named = (copy.deepcopy(masks) for _ in range(3))
  for entry in boxes['annotations']:
    del entry['segmentation']
  for entry in unmeasured['annotations']:
    del entry['area'], entry['iscrowd']
  for image in unmeasured['images']:
    del image['height'], image['width']
  for entry in (*named['images'], *named['categories']):
    entry['id'] = f'id-{entry["id"]}'
  for entry in named['annotations']:
    entry.update({key: f'id-{entry[key]}' for key in ('image_id', 'category_id')})
  return {
    'masks': (masks, True),
    'boxes': (boxes, False),
    'unmeasured': (unmeasured, True),
    'text_ids': (named, True),
  }


def _with_masks():
  height, width = SIZES_HW[0]
  bitmap = np.zeros([height, width], np.uint8)
  bitmap[4:14, 6:18] = 1
  compressed = coco_mask.encode(np.asfortranarray(bitmap))
  runs = {'size': [height, width], 'counts': compressed['counts'].decode()}
  crowd = {'size': [32, 24], 'counts': [32 * 16, 32 * 8]}  # the right third
  parts = [[2, 2, 8, 2, 8, 8, 2, 8], [10.5, 2.0, 16.5, 2.0, 16.5, 9.0]]
  images = [
    {'id': number, 'file_name': f'{number}.png', 'height': size[0], 'width': size[1]}
    for number, size in enumerate(SIZES_HW, 1)
  ]
  annotations = [
    annotation(11, 1, 3, (2, 3, 10, 5)),
    annotation(12, 1, 8, (6, 4, 12, 10), segmentation=runs),
    annotation(13, 2, 8, (16, 0, 8, 32), iscrowd=1, segmentation=crowd),
    annotation(14, 2, 3, (2, 2, 14.5, 7), segmentation=parts, area=63.0),
    annotation(15, 3, 20, (1, 1, 9, 9), area=81),
    annotation(16, 3, 3, (5, 6, 12, 10)),
  ]
  categories = [{'id': id_, 'name': f'name {id_}'} for id_ in (3, 8, 20)]
  return {
    'info': {'description': 'small'},
    'images': images,
    'annotations': annotations,
    'categories': categories,
  }


def changed(content, generator):
  """A copy of the content of a file with one change, and a description of that change."""
  content = copy.deepcopy(content)
  container, key, path = _place(content, generator)
  change = generator.choice(_CHANGES)
  before = json.dumps(container[key])
  change(container, key, generator)
  after = 'removed'
  with contextlib.suppress(LookupError):
    after = json.dumps(container[key])
  return content, f'{path}: {change.__name__.strip("_")} {before[:60]} -> {after[:60]}'


def _place(content, generator):
  """A random value: its container, its key there, and its path."""
  section = generator.choice(_SECTIONS)
  if generator.random() < 0.03:
    return content, section, section
  container, path = content[section], [section]
  while True:
    keys = list(container) if isinstance(container, dict) else range(len(container))
    key = generator.choice(list(keys))
    path.append(str(key))
    value = container[key]
    may_descend = isinstance(value, (dict, list)) and len(value) > 0
    if not may_descend or generator.random() < 0.2:
      return container, key, '/'.join(path)
    container = value


def _replace(container, key, generator):
  container[key] = copy.deepcopy(generator.choice(_VALUES))


def _change_form(container, key, generator):
  """Another form of the same value."""
  value = container[key]
  forms = [str(value), [value], [[value]], {'value': value}, json.dumps(value)]
  if isinstance(value, (int, float)) and not isinstance(value, bool):
    forms += [float(value), str(float(value)), f' {value} ', bool(value)] * 2
  container[key] = generator.choice(forms)


def _change_number(container, key, generator):
  value = container[key]
  if not isinstance(value, (int, float)) or isinstance(value, bool):
    _replace(container, key, generator)
    return
  factor = generator.choice((-1, 0, 1, 2, 10, 0.5, 1.5, 1e3, 1e9, 1e30, 10**30))
  container[key] = generator.choice((value * factor, value + factor, value - factor))


def _remove(container, key, _):
  del container[key]


def _rename(container, key, generator):
  if isinstance(container, list):
    _replace(container, key, generator)
    return
  container[generator.choice((key.upper(), f'{key}_', f' {key}', 'url'))] = container.pop(key)


def _repeat(container, key, generator):
  if isinstance(container, dict):
    _copy_from_other(container, key, generator)
    return
  container.insert(generator.randrange(len(container) + 1), copy.deepcopy(container[key]))


def _copy_from_other(container, key, generator):
  """Give a value of another key of the same object."""
  keys = list(container) if isinstance(container, dict) else list(range(len(container)))
  container[key] = copy.deepcopy(container[generator.choice(keys)])


_CHANGES = (
  _replace,
  _replace,
  _replace,
  _change_form,
  _change_form,
  _change_number,
  _remove,
  _rename,
  _repeat,
  _copy_from_other,
)
