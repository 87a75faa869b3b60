"""Tests of LabelMe 5: shapes, groups, and images of other machines."""

import math

import numpy as np
import pytest

from tests.data.formats import small_sets
from tests.data.formats.reading import SQUARE, bitmaps_of, disk, read, square, write_image


def labelme(folder, *entries, **changes):
  write_image(folder)
  entries = [{'label': 'cell', 'group_id': None, **entry} for entry in entries]
  content = {'shapes': entries, 'imagePath': 'a.png', 'imageHeight': 40, 'imageWidth': 50}
  small_sets.write_json(folder / 'a.json', {**content, **changes})
  return read(folder)


@pytest.mark.parametrize(
  'entry',
  [
    {'shape_type': 'polygon', 'points': SQUARE},
    {'points': SQUARE},
    {'shape_type': 'rectangle', 'points': [[20, 15], [10, 5]]},
    {'shape_type': 'rectangle', 'points': SQUARE},
    {
      'shape_type': 'mask',
      'points': [[10, 5], [19, 14]],
      'mask': small_sets.png(np.full([10, 10], 255, np.uint8)),
    },
  ],
  ids=['polygon', 'no type', 'two corners', 'four corners', 'mask'],
)
def test_shapes_of_labelme_with_an_area_are_masks(tmp_path, entry):
  ((name, bitmap),) = bitmaps_of(labelme(tmp_path, entry))
  assert name == 'cell'
  np.testing.assert_array_equal(bitmap, square())


def test_a_circle_of_labelme_goes_through_its_second_point(tmp_path):
  source = labelme(tmp_path, {'shape_type': 'circle', 'points': [[25, 20], [33, 14]]})
  ((_, bitmap),) = bitmaps_of(source)
  expected = disk(10, 10)
  assert (bitmap > 0).sum() == pytest.approx(math.pi * 100, rel=0.02)
  assert ((bitmap > 0) & expected).sum() / ((bitmap > 0) | expected).sum() > 0.97
  assert source.report.counts['ellipse_as_polygon'] == 1


def test_shapes_of_a_group_and_label_are_one_object(tmp_path):
  left, right = {'points': SQUARE, 'group_id': 4}, [[x + 20, y] for x, y in SQUARE]
  mask = {
    'shape_type': 'mask',
    'points': [[0, 30], [4, 34]],
    'mask': small_sets.png(np.full([5, 5], 1, np.uint8)),
    'group_id': 4,
  }
  other = {'points': right, 'group_id': 4, 'label': 'nucleus'}
  source = labelme(tmp_path, left, {'points': right, 'group_id': 4}, mask, other)
  found = bitmaps_of(source)
  assert [name for name, _ in found] == ['cell', 'nucleus']
  joined = square() + square(left=30, right=40) + square(30, 35, 0, 5)
  np.testing.assert_array_equal(found[0][1], joined)
  assert source.report.counts['shapes_grouped'] == 1


@pytest.mark.parametrize(
  'entry, check',
  [
    ({'shape_type': 'linestrip', 'points': SQUARE}, 'shape_without_area'),
    ({'shape_type': 'point', 'points': [[1, 2]]}, 'shape_without_area'),
    ({'shape_type': 'cuboid', 'points': SQUARE}, 'shape_unknown'),
    ({'points': SQUARE[:2]}, 'shape_unusable'),
    ({'points': [[1, 2], [3, None], [4, 5]]}, 'shape_unusable'),
    ({'shape_type': 'mask', 'points': SQUARE[:2], 'mask': 'xyz'}, 'shape_unusable'),
    ({'points': SQUARE, 'label': ''}, 'shape_without_class'),
    ({'points': SQUARE, 'label': '__ignore__'}, 'shape_without_class'),
  ],
)
def test_other_shapes_of_labelme_are_dropped_and_counted(tmp_path, entry, check):
  good = {'points': [[x + 20, y] for x, y in SQUARE]}
  source = labelme(tmp_path, entry, good)
  assert len(source.content['annotations']) == 1 and source.report.counts == {check: 1}


@pytest.mark.parametrize(
  'path',
  ['C:\\Users\\x\\photos\\a.png', '/home/x/a.png', '..\\elsewhere\\a.jpg', '', None, 'b/../a.png'],
)
def test_an_image_path_of_another_machine_is_found(tmp_path, path):
  source = labelme(tmp_path, {'points': SQUARE}, imagePath=path)
  assert source.content['images'][0]['file_name'] == 'a.png'


def test_a_file_without_a_size_takes_that_of_the_image(tmp_path):
  source = labelme(tmp_path, {'points': SQUARE}, imageHeight=None, imageWidth='x')
  assert [source.content['images'][0][side] for side in ('height', 'width')] == [40, 50]


def test_images_without_a_file_and_other_json_files_are_counted(tmp_path):
  write_image(tmp_path, 'unlabeled.png')
  small_sets.write_json(tmp_path / 'settings.json', {'theme': 'dark'})
  (tmp_path / 'broken.json').write_text('{"shapes": [', encoding='utf-8')
  report = labelme(tmp_path, {'points': SQUARE}).report
  assert report.counts == {
    'unannotated_image': 1,
    'other_file': 1,
    'annotation_file_unusable': 1,
  }


def test_a_shape_that_is_there_twice_counts_once(tmp_path):
  source = labelme(tmp_path, {'points': SQUARE}, {'points': SQUARE})
  assert len(source.content['annotations']) == 1
  assert source.report.counts == {'shape_repeated': 1}
