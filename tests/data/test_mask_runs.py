"""Tests of masks as vertical runs, against bitmaps of NumPy and the encoder of pycocotools."""

import numpy as np
import pytest

from htc_tf.data import mask_codec, mask_runs
from htc_tf.data.pixel_box import Box


def _masks(height=23, width=31):
  """Masks of every kind: noise, blobs, full columns, borders, one pixel, nothing, everything."""
  rng = np.random.default_rng(0)
  rows, columns = np.mgrid[:height, :width]
  masks = [rng.random((height, width)) < share for share in (0.02, 0.3, 0.7)]
  masks += [(rows - 9) ** 2 + (columns - 12) ** 2 < 40, columns // 4 % 2 == 0, rows < 3]
  one = np.zeros((height, width), bool)
  one[-1, -1] = True
  return [*masks, one, np.zeros_like(one), np.ones_like(one)]


@pytest.mark.parametrize('mask', _masks())
def test_runs_of_an_encoding_are_the_mask_and_encode_to_it_again(mask):
  rle = mask_codec.encode(mask)
  runs = mask_runs.of_rle(rle)
  assert runs.area == mask.sum()
  assert mask_runs.to_rle(runs, *mask.shape) == rle
  window = mask_runs.to_window(runs)
  shown = np.zeros_like(mask)
  box = runs.box
  shown[box.top : box.bottom, box.left : box.right] = window.bitmap
  np.testing.assert_array_equal(shown, mask)
  if mask.any():
    assert (window.top, window.left) == (box.top, box.left)
    assert window.bitmap.any(0)[[0, -1]].all() and window.bitmap.any(1)[[0, -1]].all()


@pytest.mark.parametrize('mask', _masks())
def test_a_moved_mask_is_the_one_in_the_larger_image(mask):
  large = np.zeros((40, 77), bool)
  large[11 : 11 + mask.shape[0], 5 : 5 + mask.shape[1]] = mask
  moved = mask_runs.of_rle(mask_codec.encode(mask)).moved(11, 5)
  assert mask_runs.to_rle(moved, 40, 77) == mask_codec.encode(large)


@pytest.mark.parametrize('box', [Box(4, 7, 15, 20), Box(0, 0, 23, 31), Box(5, 9, 5, 9)])
def test_the_part_inside_a_rectangle(box):
  for mask in _masks():
    expected = np.zeros_like(mask)
    part = np.s_[box.top : box.bottom, box.left : box.right]
    expected[part] = mask[part]
    found = mask_runs.of_rle(mask_codec.encode(mask)).inside(box)
    assert mask_runs.to_rle(found, *mask.shape) == mask_codec.encode(expected)


def test_shared_area_and_union_of_all_pairs():
  masks = _masks()
  runs = [mask_runs.of_rle(mask_codec.encode(mask)) for mask in masks]
  for first, first_runs in zip(masks, runs):
    for second, second_runs in zip(masks, runs):
      assert mask_runs.shared_area(first_runs, second_runs) == (first & second).sum()
      union = mask_runs.united([first_runs, second_runs])
      assert mask_runs.to_rle(union, *first.shape) == mask_codec.encode(first | second)
  together = mask_runs.united(runs[:4])
  expected = masks[0] | masks[1] | masks[2] | masks[3]
  assert mask_runs.to_rle(together, *expected.shape) == mask_codec.encode(expected)


@pytest.mark.parametrize('factor', [1, 2, 3, 5])
def test_a_reduced_mask_has_the_middle_of_each_square(factor):
  for mask in _masks():
    expected = mask[factor // 2 :: factor, factor // 2 :: factor]
    found = mask_runs.reduced(mask_runs.of_rle(mask_codec.encode(mask)), factor)
    assert mask_runs.to_rle(found, *expected.shape) == mask_codec.encode(expected)


def test_a_rectangle_as_a_mask():
  expected = np.zeros((23, 31), bool)
  expected[2:9, 4:11] = True
  runs = mask_runs.of_box(Box(2, 4, 9, 11))
  assert mask_runs.to_rle(runs, 23, 31) == mask_codec.encode(expected)
  assert mask_runs.of_box(Box(9, 4, 9, 11)).area == 0


def test_positions_beyond_32_bits_are_exact():
  runs = mask_runs.of_box(Box(90_000, 90_000, 90_010, 90_020))
  assert mask_runs.shared_area(runs, runs) == 200
  assert mask_runs.united([runs, runs.moved(5, 0)]).area == 300
