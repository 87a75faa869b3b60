"""Tests of the warnings about a data set."""

import dataclasses

import pytest

from htc_tf.configs.frames import Resizing
from htc_tf.data.dataset_info import Category, DatasetInfo
from htc_tf.data.statistics import DatasetStatistics
from htc_tf.reports import data_card, data_warnings
from htc_tf.reports.page import Page
from htc_tf.reports.shown_data import Split
from tests.reports import html_pages


def split(name='train', counts=(100, 90), **changes):
  """A split without any reason for a warning, with changed statistics."""
  statistics = DatasetStatistics(
    images_by_category=tuple(counts),
    instances_by_category=tuple(counts),
    image_sizes=((100, 200, 30), (50, 50, 20)),
    objects_per_image=((1, 20), (5, 30)),
    box_sides=(20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0),
    mask_areas=(),
    num_channels=3,
    bits=8,
    channel_mean=(1.0,) * 3,
    channel_stddev=(1.0,) * 3,
  )
  categories = tuple(Category(label, f'class{label}', label) for label, _ in enumerate(counts, 1))
  info = DatasetInfo(
    name, 50, sum(counts), 1, categories, None, True, 'annotations.json', statistics=statistics
  )
  info = dataclasses.replace(info, statistics=dataclasses.replace(statistics, **changes))
  return Split(name, info, [])


def _warnings(*splits, scale=1.0, limit=100):
  return data_warnings.data_warnings(splits, scale, limit)


def test_good_data_have_no_warning():
  assert _warnings(split(), split('val')) == []


@pytest.mark.parametrize(
  'splits, expected',
  [
    ([split(counts=(80, 4, 20))], 'One class has fewer than 5 objects in train: class2 (4).'),
    ([split(counts=(80, 0, 0))], '2 classes have no object in train: class2, class3.'),
    ([split(counts=(80, 0)), split('val')], 'objects in val but none in train: class2.'),
    ([split(counts=(100, 5))], 'out of balance: class1 has 100 objects, class2 has 5.'),
    ([split(objects_per_image=((0, 25), (2, 25)))], '25 of 50 images have no object.'),
    ([split(), split('val', counts=(5, 5, 5))], 'val has other categories than train'),
    ([split(counts=(50,) * 9 + (1,) * 12)], 'class10 (1), class11 (1), class12 (1)'),
  ],
)
def test_what_matters_is_named(splits, expected):
  assert any(expected in line for line in _warnings(*splits)), _warnings(*splits)


def test_classes_of_one_name_keep_their_own_counts():
  (train,) = [split(counts=(80, 0, 20))]
  categories = [Category(5, 'cat', 1), Category(7, 'cat', 2), Category(9, 'dog', 3)]
  train = train._replace(info=dataclasses.replace(train.info, categories=tuple(categories)))
  page = Page('title')
  data_card.add_card(page, [train], None)
  parsed = html_pages.ParsedPage(page.html())
  cells = parsed.texts_of('td')
  for name, count in (('cat (5)', '80'), ('dog', '20'), ('cat (7)', '0')):
    assert cells[cells.index(name) + 2] == count
  first, *others = _warnings(train)
  assert first.startswith('Several classes have the same name: cat.')
  assert 'One class has no object in train: cat (7).' in others


def test_a_long_list_of_classes_is_cut():
  (line,) = [line for line in _warnings(split(counts=(9,) * 9 + (0,) * 20)) if 'no object' in line]
  assert line.endswith('class17 and 12 more.')


def test_small_objects_are_counted_at_the_input_size():
  # A quarter of the boxes has a side below 40 pixels, which the factor 0.4 makes 16.
  assert _warnings(split(), scale=0.4)[0].startswith('About 25% of the objects are smaller than 16')
  assert data_warnings.share_below(split().info, 35.0) == pytest.approx(0.15)
  assert data_warnings.share_below(split().info, 10.0) == 0
  assert data_warnings.share_below(split().info, 500.0) == 1


def test_objects_beyond_the_limit_of_an_image_are_counted():
  crowded = split(objects_per_image=((3, 40), (12, 6), (30, 4)))
  (line,) = _warnings(crowded, limit=10)
  assert line.startswith('10 images have more than max_num_instances = 10 objects, at most 30')
  assert 'leave out 92 objects' in line  # 6 x 2 + 4 x 20


def test_records_without_statistics_are_named():
  old = split()._replace(info=dataclasses.replace(split().info, statistics=None))
  (line,) = _warnings(old, scale=None)
  assert 'train are of an earlier version' in line
  assert data_warnings.median_scale(old.info, Resizing(100, 100)) is None
  assert data_warnings.share_below(old.info, 5) is None


def test_the_scale_is_that_of_the_median_image():
  # 30 of 50 images are resized by 0.5, the others by 2.
  assert data_warnings.median_scale(split().info, Resizing(100, 100)) == 0.5


def test_data_without_objects_have_warnings():
  empty = split(counts=(0, 0), box_sides=(), objects_per_image=((0, 50),))
  assert len(_warnings(empty)) == 2
