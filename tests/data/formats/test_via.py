"""Tests of VGG Image Annotator: shapes and attributes."""

import csv
import json
import math

import numpy as np
import pytest

from htc_tf.errors import ConfigError, DataError
from tests.data.formats import small_sets
from tests.data.formats.reading import SQUARE, bitmaps_of, disk, read, square, write_image


def via(folder, *regions, **options):
  write_image(folder / 'images')
  entry = {'filename': 'a.png', 'size': -1, 'regions': list(regions), 'file_attributes': {}}
  small_sets.write_json(folder / 'via.json', {'a.png-1': entry})
  return read(folder / 'via.json', **options)


def region(shape, **attributes):
  return {'shape_attributes': shape, 'region_attributes': attributes}


RECT = {'name': 'rect', 'x': 10, 'y': 5, 'width': 10, 'height': 10}
POLYGON = {
  'name': 'polygon',
  'all_points_x': [x for x, _ in SQUARE],
  'all_points_y': [5, 5, 15, 15],
}


@pytest.mark.parametrize('shape', [RECT, POLYGON], ids=['rect', 'polygon'])
def test_regions_of_via_are_masks(tmp_path, shape):
  ((name, bitmap),) = bitmaps_of(via(tmp_path, region(shape, kind='cell')))
  assert name == 'cell'
  np.testing.assert_array_equal(bitmap, square())


@pytest.mark.parametrize(
  'shape, radii',
  [
    ({'name': 'circle', 'cx': 25, 'cy': 20, 'r': 9}, (9, 9)),
    ({'name': 'ellipse', 'cx': 25, 'cy': 20, 'rx': 15, 'ry': 6}, (15, 6)),
    ({'name': 'ellipse', 'cx': 25, 'cy': 20, 'rx': 6, 'ry': 15, 'theta': math.pi / 2}, (15, 6)),
  ],
)
def test_circles_and_ellipses_of_via(tmp_path, shape, radii):
  ((_, bitmap),) = bitmaps_of(via(tmp_path, region(shape, kind='cell')))
  expected = disk(*radii)
  assert ((bitmap > 0) & expected).sum() / ((bitmap > 0) | expected).sum() > 0.95


@pytest.mark.parametrize(
  'attributes, expected',
  [
    ([{'label': 'x', 'note': '1'}, {'label': 'y', 'note': '2'}], ['x', 'y']),
    ([{'note': '1', 'fruit': 'fig'}, {'fruit': 'nut'}], ['fig', 'nut']),
    ([{'Class': 'x'}, {'Class': 'y', 'id': '7'}], ['x', 'y']),
    (
      [{'type': {'cat': True, 'dog': False}}, {'type': {'cat': False, 'dog': True}}],
      ['cat', 'dog'],
    ),
    ([{}, {}], ['object', 'object']),
  ],
)
def test_the_attribute_with_the_class_is_found(tmp_path, attributes, expected):
  second = {**RECT, 'x': 30}
  regions = [region(shape, **values) for shape, values in zip((RECT, second), attributes)]
  assert [name for name, _ in bitmaps_of(via(tmp_path, *regions))] == expected


def test_the_attribute_with_the_class_may_be_named(tmp_path):
  regions = [region(RECT, label='x', color='red')]
  assert bitmaps_of(via(tmp_path, *regions, class_attribute='color'))[0][0] == 'red'
  with pytest.raises(ConfigError, match=r"no attribute|attribute 'size'.*color, label"):
    via(tmp_path, *regions, class_attribute='size')


def test_regions_of_version_1_are_an_object(tmp_path):
  write_image(tmp_path)
  entry = {'filename': 'a.png', 'regions': {'0': region(POLYGON, name='cell')}}
  small_sets.write_json(tmp_path / 'via.json', {'a.png12': entry})
  assert [name for name, _ in bitmaps_of(read(tmp_path))] == ['cell']


def test_lines_and_regions_without_a_class_are_counted(tmp_path):
  line = {**POLYGON, 'name': 'polyline'}
  other = {**RECT, 'x': 30}
  report = via(
    tmp_path, region(line, name='a'), region(RECT, name=''), region(other, name='b')
  ).report
  assert report.counts['shape_without_area'] == report.counts['shape_without_class'] == 1


def test_the_csv_file_of_via_is_read(tmp_path):
  write_image(tmp_path)
  rows = [
    'filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,'
    'region_attributes',
    'a.png,1,"{}",1,0,"{""name"":""rect"",""x"":10,""y"":5,""width"":10,""height"":10}",'
    '"{""label"":""cell""}"',
  ]
  small_sets.write_text(tmp_path / 'via.csv', '\n'.join(rows))
  ((name, bitmap),) = bitmaps_of(read(tmp_path))
  assert name == 'cell'
  np.testing.assert_array_equal(bitmap, square())


def test_version_3_of_via_is_named(tmp_path):
  content = {'project': {}, 'config': {}, 'attribute': {}, 'file': {}, 'metadata': {}, 'view': {}}
  small_sets.write_json(tmp_path / 'via.json', content)
  with pytest.raises(DataError, match='VGG Image Annotator 3'):
    read(tmp_path / 'via.json')


@pytest.mark.parametrize('number', [3, 30_000])
def test_polygons_of_any_length_are_read_from_csv(tmp_path, number):
  """Python's reader of CSV limits a field to 131,072 characters."""
  write_image(tmp_path)
  x, y = np.linspace(0, 50, number).tolist(), (np.arange(number) ** 2 % 40).tolist()
  shape = json.dumps({'name': 'polygon', 'all_points_x': x, 'all_points_y': y})
  with open(tmp_path / 'via.csv', 'w', encoding='utf-8', newline='') as file:
    writer = csv.writer(file)
    writer.writerow(['filename', 'region_shape_attributes', 'region_attributes'])
    writer.writerow(['a.png', shape, '{"class": "cell"}'])
  (entry,) = read(tmp_path / 'via.csv').content['annotations']
  assert len(entry['segmentation'][0]) == 2 * number
  assert csv.field_size_limit() == 131_072
