"""Tests of outlines of masks, by drawing them again with pycocotools."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from htc_tf.data import mask_codec
from htc_tf.serving.outputs.outlines import outlines_of


def _drawn(outlines, shape):
  rles = coco_mask.frPyObjects(outlines.as_lists(), *shape)
  return mask_codec.decode(coco_mask.merge(rles)).astype(bool)


def _iou(mask, other):
  return (mask & other).sum() / (mask | other).sum()


def test_a_rectangle_has_the_edges_of_its_pixels_as_outline():
  mask = np.zeros((20, 30), bool)
  mask[3:9, 5:25] = True
  outlines = outlines_of(mask)
  corners = {tuple(corner) for corner in outlines.polygons[0].tolist()}
  assert corners == {(5, 3), (25, 3), (25, 9), (5, 9)} and outlines.num_holes == 0
  np.testing.assert_array_equal(_drawn(outlines, mask.shape), mask)


@pytest.mark.parametrize('seed', range(5))
def test_a_smooth_mask_is_drawn_again_with_few_corners(seed):
  rng = np.random.default_rng(seed)
  rows, columns = np.mgrid[:100, :120]
  angle = np.arctan2(rows - 50, columns - 60)
  radius = 30 + 6 * np.sin(3 * angle + rng.uniform(0, 6)) + 4 * np.cos(5 * angle)
  mask = np.hypot(rows - 50, columns - 60) < radius
  outlines = outlines_of(mask)
  assert _iou(_drawn(outlines, mask.shape), mask) > 0.97
  assert len(outlines.polygons) == 1 and len(outlines.polygons[0]) < 100


def test_parts_are_polygons_largest_first_and_holes_are_counted():
  mask = np.zeros((40, 40), bool)
  mask[30:34, 30:38] = mask[2:20, 2:20] = True
  mask[8:12, 8:12] = False
  outlines = outlines_of(mask)
  assert [polygon.min(0).tolist() for polygon in outlines.polygons] == [[2, 2], [30, 30]]
  assert outlines.num_holes == 1
  filled = mask.copy()
  filled[8:12, 8:12] = True
  np.testing.assert_array_equal(_drawn(outlines, mask.shape), filled)


def test_a_mask_at_the_border_and_a_single_pixel_have_outlines():
  mask = np.zeros((10, 10), bool)
  mask[0:2, 0:10] = mask[9, 9] = True
  np.testing.assert_array_equal(_drawn(outlines_of(mask), mask.shape), mask)


def test_an_empty_mask_has_no_outline():
  assert outlines_of(np.zeros((5, 5), bool)) == ([], 0)


@pytest.mark.parametrize('angle', range(0, 180, 7))
@pytest.mark.parametrize('thickness', [1, 2, 3, 8])
def test_a_thin_object_is_drawn_again(angle, thickness):
  rows, columns = np.mgrid[:48, :48] - 24
  across = np.deg2rad(angle)
  along = columns * np.cos(across) + rows * np.sin(across)
  distance = np.abs(columns * np.sin(across) - rows * np.cos(across))
  mask = (distance <= max(thickness / 2, 0.71)) & (np.abs(along) < 20)
  # Holes, which polygons fill, do not occur.
  outlines = outlines_of(mask)
  assert outlines.num_holes == 0
  assert _iou(_drawn(outlines, mask.shape), mask) > 0.94


@pytest.mark.parametrize('seed', range(40))
def test_a_small_object_is_drawn_again(seed):
  rng = np.random.default_rng(seed)
  rows, columns = np.mgrid[:12, :12]
  mask = np.hypot(rows - rng.uniform(4, 8), columns - rng.uniform(4, 8)) < rng.uniform(1, 4)
  assert _iou(_drawn(outlines_of(mask), mask.shape), mask) > 0.94
