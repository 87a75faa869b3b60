"""Tests of placing image, boxes and labels, against OpenCV and NumPy slicing."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data import placement as placements
from htc_tf.data.augmentation.flip import Flip
from htc_tf.data.augmentation.scale_jitter import ScaleJitter
from htc_tf.data.padding import padding_rule

CROP = (slice(5, 35), slice(9, 49))
FLIPS = [(False, False), (True, False), (False, True), (True, True)]


def make_placement(original, scaled, offset=(0, 0), visible=None, flip=(False, False)):
  values = (original, scaled, offset, scaled if visible is None else visible)
  return placements.Placement(
    *(tf.constant(value, tf.int32) for value in values), tf.constant(flip), (40, 48)
  )


def flipped(array, flip):
  array = array[::-1] if flip[0] else array
  return array[:, ::-1] if flip[1] else array


@pytest.mark.parametrize('flip', FLIPS)
@pytest.mark.parametrize(
  'original,scaled',
  [((24, 40), (48, 80)), ((41, 23), (37, 61)), ((600, 900), (333, 500)), ((97, 97), (97, 97))],
)
def test_labels_are_resized_as_by_opencv_then_cropped_then_flipped(original, scaled, flip):
  labels = np.random.default_rng(6).integers(0, 256, original, dtype=np.uint8)
  resized = cv2.resize(labels, scaled[::-1], interpolation=cv2.INTER_NEAREST)
  expected = np.full([40, 48], 255, np.uint8)
  expected[:30, :40] = flipped(resized[CROP], flip)
  placement = make_placement(original, scaled, (5, 9), (30, 40), flip)
  placed = placements.place_labels(
    tf.constant(labels), placements.source_indices(placement), (40, 48), 255
  )
  np.testing.assert_array_equal(placed, expected)


@pytest.mark.parametrize('flip', FLIPS)
@pytest.mark.parametrize('original,scaled', [((24, 40), (48, 80)), ((600, 900), (333, 500))])
@pytest.mark.parametrize('rows', [(0, None), (9, 13), (0, 7), (0, 1), (10, 10)])
def test_a_placed_mask_is_a_packed_label_map(original, scaled, flip, rows):
  mask = np.random.default_rng(7).integers(0, 2, original, dtype=np.uint8)
  mask[: rows[0]] = mask[rows[1] :] = 0
  placement = make_placement(original, scaled, (5, 9), (30, 40), flip)
  indices = placements.source_indices(placement)
  expected = placements.place_labels(tf.constant(mask), indices, (40, 48), 0)
  packed = placements.place_mask(tf.constant(mask), indices, (40, 48))
  np.testing.assert_array_equal(packed, np.packbits(expected, axis=-1))


@pytest.mark.parametrize('flip', FLIPS)
def test_image_boxes_and_labels_match(flip):
  """Box and mask of a bright rectangle have the position of its pixels after any placement."""
  image = np.zeros([24, 40, 3], np.uint8)
  image[6:15, 8:20] = 200
  placement = make_placement((24, 40), (48, 80), (5, 9), (30, 40), flip)
  placed = placements.place_image(tf.constant(image), placement).numpy()[..., 0] >= 100
  labels = placements.place_labels(
    tf.constant(image[..., 0]), placements.source_indices(placement), (30, 40), 0
  )
  np.testing.assert_array_equal(placed, labels.numpy() > 0)
  box = placements.place_boxes(tf.constant([[6 / 24, 8 / 40, 15 / 24, 20 / 40]]), placement)[0]
  rows, columns = np.nonzero(placed)
  expected = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
  np.testing.assert_allclose(box, expected, atol=1e-4)


def test_boxes_are_clipped_and_have_no_area_outside_the_visible_part():
  placement = make_placement((10, 10), (20, 20), (4, 4), (8, 8))
  boxes = placements.place_boxes(
    tf.constant([[0.0, 0.0, 1.0, 1.0], [0.7, 0.7, 0.9, 0.9]]), placement
  )
  np.testing.assert_allclose(boxes, [[0, 0, 8, 8], [8, 8, 8, 8]], atol=1e-5)


def random_placement(seed, augmentations=(), min_sizes=(32,), original=(24, 40)):
  return placements.choose_placement(
    tf.constant(original),
    min_sizes,
    60,
    padding_rule([(40, 48)], (40, 48)),
    augmentations,
    tf.constant([seed, 1]),
  )


def test_without_augmentation_the_image_fits_into_the_bucket():
  placement = random_placement(0)
  assert placement.scaled_hw.numpy().tolist() == [29, 48]  # The width of the bucket is the limit.
  assert placement.visible_hw.numpy().tolist() == [29, 48]
  assert not placement.flip_yx.numpy().any() and not placement.offset.numpy().any()


def test_flips_follow_their_probability():
  flip = Flip(horizontal=0.5, vertical=0.25)
  flips = np.array([random_placement(seed, [flip]).flip_yx.numpy() for seed in range(400)])
  np.testing.assert_allclose(flips.mean(axis=0), [0.25, 0.5], atol=0.08)
  always = Flip(1.0, 1.0)
  assert all(random_placement(seed, [always]).flip_yx.numpy().all() for seed in range(20))
  assert not any(
    random_placement(seed, [always, always]).flip_yx.numpy().any() for seed in range(20)
  )


def test_every_short_side_is_chosen():
  sizes = {int(random_placement(seed, min_sizes=(16, 20, 24)).scaled_hw[0]) for seed in range(60)}
  assert sizes == {16, 20, 24}


def test_all_short_sides_of_a_range_are_equally_likely():
  """Counts of 80 have a standard deviation of 8; four of them are allowed."""
  drawn = [int(random_placement(seed, (), range(20, 25)).scaled_hw[0]) for seed in range(400)]
  values, counts = np.unique(drawn, return_counts=True)
  np.testing.assert_array_equal(values, [20, 21, 22, 23, 24])
  assert np.abs(counts - 80).max() < 32


def test_scale_jitter_stays_in_its_range_and_crops_inside_the_image():
  drawn = [random_placement(seed, [ScaleJitter(0.5, 2.0)]) for seed in range(100)]
  heights = np.array([placement.scaled_hw[0] for placement in drawn])
  assert heights.min() >= 16 and heights.max() <= 64 and np.ptp(heights) > 35
  offsets = np.array([placement.offset for placement in drawn])
  spare = np.array([placement.scaled_hw - placement.visible_hw for placement in drawn])
  assert (offsets >= 0).all() and (offsets <= spare).all()
  assert (offsets.max(axis=0) > 10).all()
  assert (np.array([placement.visible_hw for placement in drawn]) <= [40, 48]).all()


def test_the_same_seed_gives_the_same_placement():
  augmentations = [ScaleJitter(0.5, 2.0), Flip(0.5, 0.5)]
  for first, second in zip(*(random_placement(7, augmentations) for _ in range(2))):
    np.testing.assert_array_equal(first, second)
