"""Tests of the sizes of images that an annotation file for evaluation does not give."""

import pytest

from htc_tf.data import annotated_extents

TRIANGLE = [1, 2, 30.5, 2, 30.5, 19]


@pytest.mark.parametrize(
  'segmentation, expected',
  [
    ([TRIANGLE], (19, 31)),
    (TRIANGLE, (19, 31)),
    ([TRIANGLE, [0, 0, 5, 0, 5, 40]], (40, 31)),
    ({'size': [24, 32.0], 'counts': [768]}, (24, 32)),
    ({'size': [24], 'counts': [768]}, (1, 1)),
    ({'size': ['x', 'y']}, (1, 1)),
    ([[-9, -9, -5, -9, -5, -5]], (1, 1)),
    ([[0, 0, 1e7, 0, 1e7, 1]], (1, 1)),
    (None, (1, 1)),
    ('x', (1, 1)),
  ],
)
def test_an_image_is_as_large_as_its_annotations_reach(segmentation, expected):
  size_of = annotated_extents.size_reader([{'image_id': '7', 'segmentation': segmentation}])
  assert size_of({'id': 7.0}) == expected
  assert size_of({'id': 8}) == (1, 1)


def sized(*segmentations):
  """The size of an image with these annotations."""
  entries = [{'image_id': 'a', 'segmentation': segmentation} for segmentation in segmentations]
  return annotated_extents.size_reader(entries)({'id': 'a'})


def test_the_largest_polygon_counts():
  assert sized([TRIANGLE], [[0, 0, 5, 0, 5, 40]]) == (40, 31)


def test_run_lengths_tell_the_size_whatever_polygons_reach():
  runs, other = ({'size': [24, width], 'counts': []} for width in (32, 33))
  assert sized([[0, 0, 50, 0, 50, 1000]], runs) == (24, 32)
  assert sized(other, runs, runs) == (24, 32)


def test_sizes_stay_countable():
  height, width = sized([[0, 0, 300_000, 0, 300_000, 1, 0, 100_000]])
  assert height * width < 2**31
  assert sized([TRIANGLE], {'size': [10**9, 10], 'counts': []}) == (19, 31)
