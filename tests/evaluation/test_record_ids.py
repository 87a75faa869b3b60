"""Tests of the ids of records for annotations whose own ids are text."""

import json

import pytest

from htc_tf.data import coco_annotations
from htc_tf.errors import DataError
from htc_tf.evaluation.ground_truth import load_ground_truth


def coco_file(path, images, categories, annotated):
  """A COCO file with text ids; `annotated` has (image id, category id) of each annotation."""
  content = {
    'images': [{'id': i, 'file_name': f'{i}.png', 'height': 8, 'width': 8} for i in images],
    'categories': [{'id': name, 'name': name} for name in categories],
    'annotations': [
      {'id': number, 'image_id': image, 'category_id': category, 'bbox': [1, 1, 4, 4], 'area': 16}
      for number, (image, category) in enumerate(annotated, 1)
    ],
  }
  path.write_text(json.dumps(content))
  return str(path)


@pytest.fixture
def records(tmp_path):
  """The annotations that a conversion writes: the file's own ids are in `original_id`."""
  path = coco_file(tmp_path / 'val.json', ['a', 'b', 'c'], ['cat', 'dog'], [('a', 'dog')])
  read = coco_annotations.read_annotations(path, include_masks=False)
  content = {'images': read.images, 'categories': read.categories, 'annotations': []}
  (tmp_path / 'val_annotations.json').write_text(json.dumps(content))
  return str(tmp_path / 'val_annotations.json')


def ids(ground_truth):
  """Ids by original id of images and categories, and (image, category) of the annotations."""
  return (
    {image['original_id']: id_ for id_, image in ground_truth.imgs.items()},
    {category['original_id']: id_ for id_, category in ground_truth.cats.items()},
    [(entry['image_id'], entry['category_id']) for entry in ground_truth.anns.values()],
  )


def test_another_order_has_the_ids_of_the_records(tmp_path, records):
  path = coco_file(tmp_path / 'x.json', ['c', 'b', 'a'], ['dog', 'cat'], [('c', 'dog')])
  images, categories, annotations = ids(load_ground_truth(path, False, records))
  assert images == {'a': 1, 'b': 2, 'c': 3}
  assert categories == {'cat': 1, 'dog': 2}
  assert annotations == [(3, 2)]


def test_a_subset_has_the_ids_of_the_records(tmp_path, records):
  """By position, the dog would be the first category."""
  path = coco_file(tmp_path / 'x.json', ['b'], ['dog'], [('b', 'dog')])
  assert ids(load_ground_truth(path, False, records)) == ({'b': 2}, {'dog': 2}, [(2, 2)])


def test_entries_that_the_records_lack_get_other_ids(tmp_path, records):
  path = coco_file(tmp_path / 'x.json', ['z', 'b', 'y'], ['emu', 'dog'], [('y', 'emu')])
  images, categories, annotations = ids(load_ground_truth(path, False, records))
  assert images == {'z': 4, 'b': 2, 'y': 5}
  assert categories == {'emu': 3, 'dog': 2}
  assert annotations == [(5, 3)]


def test_other_ids_are_refused(tmp_path, records):
  path = coco_file(tmp_path / 'x.json', ['p', 'q'], ['dog'], [('p', 'dog')])
  with pytest.raises(DataError, match=r"images .* not those of the records.*'a', 'b'.*'p', 'q'"):
    load_ground_truth(path, False, records)


def test_without_records_the_ids_are_numbered(tmp_path):
  path = coco_file(tmp_path / 'x.json', ['q', 'p'], ['dog'], [('p', 'dog')])
  assert ids(load_ground_truth(path, False))[0] == {'q': 1, 'p': 2}
