"""Forms in which tools write annotations other than COCO's, and what the report calls them.

Each function changes the content of a valid file. Conversion and evaluation must give the same as
for the file without the change.
"""

import copy


def _entries(section, **values):
  """A change that gives new values to all entries; functions receive the old value."""

  def change(content):
    for entry in content[section]:
      for key, value in values.items():
        entry[key] = value(entry[key]) if callable(value) else copy.deepcopy(value)

  return change


def _objects(**values):
  """The same for annotations that are no crowds."""

  def change(content):
    objects = [entry for entry in content['annotations'] if not entry['iscrowd']]
    _entries('annotations', **values)({'annotations': objects})

  return change


def _crowds(**values):
  def change(content):
    crowds = [entry for entry in content['annotations'] if entry['iscrowd']]
    _entries('annotations', **values)({'annotations': crowds})

  return change


def _without(section, *keys):
  def change(content):
    for entry in content[section]:
      for key in keys:
        entry.pop(key)

  return change


def _with_urls(content):
  for image in content['images']:
    image['coco_url'] = f'http://images.cocodataset.org/val2017/{image.pop("file_name")}'


def _with_more(section, entry):
  def change(content):
    content[section].append(entry)

  return change


def _pairs(segmentation):
  return [[part[i : i + 2] for i in range(0, len(part), 2)] for part in segmentation]


def _texts(values):
  return [str(value) for value in values]


def _text_runs(runs):
  return {'size': _texts(runs['size']), 'counts': _texts(runs['counts'])}


def _float_runs(runs):
  return {key: [float(value) for value in values] for key, values in runs.items()}


# The change, and the checks that count it, with the number of findings in the data set of the tests
# (three images, of which two have three objects and a crowd; two categories).
FORMS = {
  'ids of images are floats': (_entries('images', id=float), {'integer_as_float': 3}),
  'ids of images are text': (_entries('images', id=str), {'number_as_text': 3}),
  'ids of images are floats in text': (
    _entries('images', id=lambda id_: f'{id_}.0'),
    {'number_as_text': 3},
  ),
  'ids of categories are floats': (_entries('categories', id=float), {'integer_as_float': 2}),
  'ids of categories are text': (_entries('categories', id=str), {'number_as_text': 2}),
  'ids of annotations are text': (_entries('annotations', id=str), {'number_as_text': 4}),
  'ids of annotations are floats': (_entries('annotations', id=float), {'integer_as_float': 4}),
  'image ids of annotations are text': (
    _entries('annotations', image_id=str),
    {'number_as_text': 4},
  ),
  'category ids of annotations are floats': (
    _entries('annotations', category_id=float),
    {'integer_as_float': 4},
  ),
  'annotations have no ids': (_without('annotations', 'id'), {'annotation_id_renumbered': 4}),
  'ids of annotations are names': (
    _entries('annotations', id=lambda id_: f'object {id_}'),
    {'annotation_id_renumbered': 4},
  ),
  'sizes are floats': (_entries('images', width=float, height=float), {'integer_as_float': 6}),
  'sizes are text': (_entries('images', width=str, height=str), {'number_as_text': 6}),
  'sizes are missing': (_without('images', 'width', 'height'), {'size': 3}),
  'sizes are -1': (_entries('images', width=-1, height=-1), {'size': 3}),
  'heights are null': (_entries('images', height=None), {'size': 3}),
  'sizes have millions of pixels a side': (
    _entries('images', width=10**7, height=10**7),
    {'size': 3},
  ),
  'file names are missing beside URLs': (_with_urls, {'file_name_from_url': 3}),
  'boxes are text': (_entries('annotations', bbox=_texts), {'number_as_text': 16}),
  'boxes are missing': (_without('annotations', 'bbox'), {'box_from_mask': 4}),
  'boxes are null': (_entries('annotations', bbox=None), {'box_from_mask': 4}),
  'boxes have no area': (_entries('annotations', bbox=[0, 0, 0, 0]), {'box_from_mask': 4}),
  'boxes have negative sides': (
    _entries('annotations', bbox=lambda box: [box[0] + box[2], box[1] + box[3], -box[2], -box[3]]),
    {'box_from_mask': 4},
  ),
  'areas are text': (_entries('annotations', area=str), {'number_as_text': 4}),
  'areas are missing': (_without('annotations', 'area'), {'area_filled': 4}),
  'areas are 0': (_entries('annotations', area=0), {'area_filled': 4}),
  **{
    f'iscrowd is {value!r}': (_objects(iscrowd=value), {'iscrowd_form': 3})
    for value in ('0', 'false', 'False', '', ' no ', None, False, 0.0, '0.0')
  },
  **{
    f'iscrowd of a crowd is {value!r}': (_crowds(iscrowd=value), {'iscrowd_form': 1})
    for value in ('1', 'true', 'True', 'yes', True, 1.0, '1.0')
  },
  'iscrowd is unclear': (_objects(iscrowd='perhaps'), {'bad_iscrowd': 3}),
  'polygons are flat': (
    _objects(segmentation=lambda parts: parts[0]),
    {'segmentation_flat': 3},
  ),
  'polygons are text': (
    _objects(segmentation=lambda parts: [_texts(parts[0])]),
    {'number_as_text': 3},
  ),
  'polygons are pairs': (_objects(segmentation=_pairs), {'segmentation_pairs': 3}),
  'polygons are pairs in one list': (
    _objects(segmentation=lambda parts: _pairs(parts)[0]),
    {'segmentation_pairs': 3},
  ),
  'polygons are in a list too many': (
    _objects(segmentation=lambda parts: [parts]),
    {'segmentation_wrapped': 3},
  ),
  'run lengths are in a list': (
    _crowds(segmentation=lambda runs: [runs]),
    {'segmentation_wrapped': 1},
  ),
  'run lengths are text': (_crowds(segmentation=_text_runs), {'number_as_text': 1}),
  'run lengths are floats': (_crowds(segmentation=_float_runs), {'integer_as_float': 1}),
  'an image entry is no object': (_with_more('images', '7.png'), {'bad_image': 1}),
  'an image entry has no id': (
    _with_more('images', {'file_name': 'a.png', 'width': 9, 'height': 9}),
    {'bad_image': 1},
  ),
  'an image entry is repeated': (
    lambda content: content['images'].append(dict(content['images'][0])),
    {'duplicate_image': 1},
  ),
  'a category is null': (_with_more('categories', None), {'bad_category': 1}),
  'a category has no id': (_with_more('categories', {'name': 'bird'}), {'bad_category': 1}),
  'a category is repeated': (
    lambda content: content['categories'].append(dict(content['categories'][0])),
    {'duplicate_category': 1},
  ),
  'an annotation is a list': (_with_more('annotations', [1]), {'bad_annotation': 1}),
  'an annotation is empty': (_with_more('annotations', {}), {'unknown_image_id': 1}),
  'an annotation is repeated': (
    lambda content: content['annotations'].append(dict(content['annotations'][0])),
    {'duplicate_annotation': 1},
  ),
  'an annotation of an unknown category': (
    _with_more('annotations', {'id': 1, 'image_id': 7, 'category_id': 4}),
    {'unknown_category_id': 1},
  ),
  'an annotation with neither box nor mask': (
    _with_more('annotations', {'id': 1, 'image_id': 7, 'category_id': 3}),
    {'empty_segmentation': 1},
  ),
}

# Encodings of the whole file: name of Python's codec.
ENCODINGS = ('utf-8-sig', 'utf-16', 'utf-32', 'utf-16-le')
