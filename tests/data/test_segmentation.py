"""Tests of checks and bitmaps of segmentations, against pycocotools."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from htc_tf.data import mask_codec, segmentation

SQUARE = [2, 2, 8, 2, 8, 6, 2, 6]


def test_polygons_and_run_lengths_give_the_same_bitmap():
  bitmap = np.zeros([10, 12], np.uint8)
  bitmap[2:6, 2:8] = 1
  compressed = coco_mask.encode(np.asfortranarray(bitmap))
  compressed['counts'] = compressed['counts'].decode()
  runs = {'size': [10, 12], 'counts': mask_codec.run_lengths(compressed['counts'])}
  for form in ([SQUARE], compressed, runs):
    cleaned, check = segmentation.clean(form, 10, 12)
    assert check is None
    np.testing.assert_array_equal(segmentation.to_bitmap(cleaned, 10, 12), bitmap)
    assert segmentation.area(cleaned, 10, 12) == 24


@pytest.mark.parametrize(
  'counts',
  ['', '000', 'garbage!!', 'd?', 'P', '\u20ac', [10, 5], [121], [-3, 123], [1.5, 118.5], None, 7],
)
def test_run_lengths_that_do_not_cover_the_image_are_refused(counts):
  assert segmentation.clean({'size': [10, 12], 'counts': counts}, 10, 12) == (None, 'bad_rle')


def test_run_lengths_of_another_image_size_are_refused():
  assert segmentation.clean({'size': [12, 10], 'counts': [120]}, 10, 12) == (None, 'bad_rle')


@pytest.mark.parametrize(
  'polygons',
  [
    [],
    [[]],
    [[1, 2, 3, 4]],
    [[1, 1, 2, 2, 3, 3]],
    [[1, 1, 2, 2, 3]],
    None,
    5,
    [['a'] * 6],
    [[2, 2] * 4],
    [[1, 1, 5, 1, float('nan'), 5]],
    [[0, 0, 1e9, 0, 0, 1e9]],
  ],
)
def test_degenerate_polygons_are_refused(polygons):
  assert segmentation.clean(polygons, 10, 12) == (None, 'empty_segmentation')


def test_a_degenerate_polygon_beside_a_good_one_is_removed():
  assert segmentation.clean([SQUARE, [1, 2, 3, 4]], 10, 12) == ([SQUARE], 'polygon_removed')
