"""Tests of the ids of a COCO file for results."""

import json

import pytest

from htc_tf.errors import InputError
from htc_tf.serving import annotated_images


@pytest.fixture(name='read')
def _read(tmp_path):
  def read(names, categories=((3, 'cat'), (8, 'dog')), ids=None):
    ids = ids or range(11, 11 + len(names))
    content = {
      'images': [{'id': id_, 'file_name': name} for id_, name in zip(ids, names)],
      'categories': [{'id': id_, 'name': name} for id_, name in categories],
    }
    (tmp_path / 'val.json').write_text(json.dumps(content), encoding='utf-8')
    return annotated_images.read_annotated_images(str(tmp_path / 'val.json'))

  return read


def ids_of(paths, annotated):
  images, left_out = annotated_images.plan_annotated(paths, annotated)
  return {image.path: image.id for image in images}, left_out


def test_images_are_found_by_their_file_name_or_base_name(read):
  annotated = read(['a.png', 'sub/b.png', 'cafe\u0301.png', 'val/c.png', 'train/c.png'])
  paths = ['x/a.png', 'y/b.png', 'caf\u00e9.png', 'x/train/c.png']
  assert ids_of(paths, annotated) == (
    {'x/a.png': 11, 'y/b.png': 12, paths[2]: 13, paths[3]: 15},
    {},
  )


def test_images_that_are_not_in_the_file_are_left_out_with_the_reason(read):
  annotated = read(['a.png', 'val/c.png', 'train/c.png'])
  ids, left_out = ids_of(['x/a.png', 'y/a.png', 'z.png', 'c.png'], annotated)
  assert ids == {'x/a.png': 11}
  assert 'x/a.png has the id 11' in left_out['y/a.png']
  assert 'no image of this name' in left_out['z.png'] and 'c.png' in left_out


def test_odd_entries_are_skipped(tmp_path):
  content = {
    'images': [
      {'id': 1, 'coco_url': 'http://[bad/x.png'},
      {'id': 2, 'coco_url': 'http://a/b/a%20b.png'},
      {'id': [3], 'file_name': 'c.png'},
    ],
    'categories': [{'id': [1], 'name': 'ant'}, {'id': 2, 'name': ' dog '}, {'id': None}],
  }
  (tmp_path / 'val.json').write_text(json.dumps(content))
  annotated = annotated_images.read_annotated_images(str(tmp_path / 'val.json'))
  assert annotated.images == [{'id': 2, 'file_name': 'a b.png'}]
  assert annotated.categories == [{'id': 2, 'name': 'dog'}]
  assert annotated_images.category_ids(annotated, ['dog'], [5]) == (['dog'], [2])


def test_annotations_of_other_images_are_refused(read):
  with pytest.raises(InputError, match=r'names none.*such as a\.png.*Got: 2 images.*another split'):
    ids_of(['b.png', 'c.png'], read(['a.png']))


def test_the_name_may_be_in_a_url_and_ids_are_kept_as_they_are(tmp_path):
  content = {
    'images': [{'id': 'first', 'coco_url': 'http://images/val2017/a.jpg?size=1'}, {'id': 0}],
    'categories': [{'id': 'c', 'name': 'cat'}],
  }
  (tmp_path / 'a.json').write_text(json.dumps(content), encoding='utf-8')
  annotated = annotated_images.read_annotated_images(str(tmp_path / 'a.json'))
  assert ids_of(['a.jpg'], annotated)[0] == {'a.jpg': 'first'}
  assert annotated_images.category_ids(annotated, ['cat'], [1]) == (['cat'], ['c'])


@pytest.mark.parametrize(
  'names, ids, expected',
  [
    (['cat', 'dog'], [3, 8], [3, 8]),
    (['cat', 'dog'], [1, 2], [3, 8]),
    (['dog', 'cat'], [1, 2], [8, 3]),
    (['cat', 'cow'], [1, 2], [3, 2]),
    ([], [], [3, 8]),
  ],
)
def test_classes_have_the_ids_of_their_names(read, names, ids, expected):
  found, category_ids = annotated_images.category_ids(read(['a.png']), names, ids)
  assert category_ids == expected and found == (names or ['cat', 'dog'])


@pytest.mark.parametrize('names, ids', [(['cow', 'cat'], [8, 3]), (['cow', 'pig'], [1, 2])])
def test_other_categories_are_refused_with_both_lists(read, names, ids):
  with pytest.raises(InputError, match=r'not those of the model.*cow.*Got: 3 \(cat\), 8 \(dog\)'):
    annotated_images.category_ids(read(['a.png']), names, ids)
