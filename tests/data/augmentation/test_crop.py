"""Tests of random parts of images, with the rule for objects that the border cuts."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data.augmentation.base import Augmentation
from htc_tf.data.augmentation.crop import Crop
from htc_tf.errors import ConfigError
from htc_tf.ops import masks as mask_ops
from tests.augmented_record import over_seeds, parse, parse_all, record

WHOLE = tf.constant([0, 0, 30, 50])


class Fixed(Crop):
  """A crop of a given region."""

  def __init__(self, region, min_visible=0.1):
    super().__init__(1.0, 1.0, 1.0, min_visible)
    self._region = region

  def change_region(self, region, seed):
    return tf.constant(self._region)


def regions(crop, number=200, start=WHOLE):
  return np.array(over_seeds(lambda seed: crop.change_region(start, seed), number))


def test_regions_have_the_least_area_and_lie_inside():
  found = regions(Crop(1.0, 0.2, 2.0, 0.1))
  top, left, height, width = found.T
  assert (found[:, :2] >= 0).all() and (top + height <= 30).all() and (left + width <= 50).all()
  shares = height * width / 1500
  assert 0.2 <= shares.min() < 0.3 and 0.9 < shares.max() <= 1
  stretch = height / width * 50 / 30
  assert 0.45 < stretch.min() < 0.7 and 1.4 < stretch.max() < 2.2
  assert np.ptp(top) > 10 and np.ptp(left) > 15


def test_a_part_of_a_part_lies_inside_it():
  """A preceding augmentation may have cut the image."""
  top, left, height, width = regions(Crop(1.0, 0.2, 2.0, 0.1), start=tf.constant([7, 20, 10, 15])).T
  assert (top >= 7).all() and (left >= 20).all()
  assert (top + height <= 17).all() and (left + width <= 35).all()
  assert np.ptp(top) > 3 and np.ptp(left) > 4


def test_the_probability_is_the_share_of_cropped_images():
  assert np.mean((regions(Crop(0.3, 0.2, 1.0, 0.1)) != WHOLE.numpy()).any(1)) == pytest.approx(
    0.3, abs=0.1
  )
  assert (regions(Crop(0.0, 0.2, 1.0, 0.1), 3) == WHOLE.numpy()).all()
  assert not Crop(0.0, 0.2, 1.0, 0.1).may_cut


def test_the_smallest_part_of_the_smallest_image_has_a_pixel():
  one = tf.constant([0, 0, 1, 1])
  assert Crop(1.0, 1e-6, 100.0, 0.0).change_region(one, tf.constant([0, 1])).numpy().tolist() == [
    0,
    0,
    1,
    1,
  ]


def l_shaped(seed=0):
  """A record whose mask is a bar in rows 6..14 of columns 8..19, with a foot below to row 19."""
  element = record(seed)
  mask = np.zeros([24, 40, 1], np.uint8)
  mask[6:15, 8:20] = mask[15:20, 8:10] = 1
  image = np.repeat(mask * np.uint8(200), 3, axis=2)
  element.update(
    image=tf.constant(image),
    masks_png=tf.stack([tf.io.encode_png(mask)]),
    semantic=tf.constant(mask[..., 0] * 2),
    boxes_normalized=tf.constant([[6 / 24, 8 / 40, 20 / 24, 20 / 40]]),
  )
  return element


def test_a_cut_object_gets_the_box_of_its_visible_pixels():
  """The part from column 12 on lacks the foot: the clipped box would reach row 20."""
  image, labels = parse([Fixed([0, 12, 24, 24])], l_shaped())  # 24 pixels become 32.
  np.testing.assert_allclose(labels['gt_boxes'][0], [8, 0, 20, 11], atol=0.5)
  mask = mask_ops.unpack_bits(labels['gt_masks'][0]).numpy()
  rows, columns = np.nonzero(mask)
  extent = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
  np.testing.assert_array_equal(labels['gt_boxes'][0], extent)
  np.testing.assert_array_equal(labels['gt_semantic'].numpy()[:32, :32] == 2, mask[:32, :32])
  bright = image.numpy()[:32, :32, 0] > 0
  assert np.mean(bright != mask[:32, :32]) < 0.02  # Pixels on the edge are mixed.
  np.testing.assert_array_equal(labels['image_info'][1], [32, 32])


def test_an_object_inside_keeps_its_annotated_box():
  element = l_shaped()
  element['boxes_normalized'] = tf.constant([[5.5 / 24, 7.5 / 40, 20.5 / 24, 20.5 / 40]])
  _, labels = parse([Fixed([0, 4, 24, 24])], element)
  expected = np.array([5.5, 3.5, 20.5, 16.5]) * 32 / 24
  np.testing.assert_allclose(labels['gt_boxes'][0], expected, atol=1e-4)


def test_an_object_at_the_border_of_an_image_that_is_not_cut_keeps_its_annotated_box():
  """Ten stored rows become about one, so that the last ones are read by no row of the result."""
  mask = np.zeros([240, 400, 1], np.uint8)
  mask[200:, 300:] = 1
  element = {
    **record(),
    'image': tf.zeros([240, 400, 3], tf.uint8),
    'masks_png': tf.stack([tf.io.encode_png(mask)]),
    'semantic': tf.constant(mask[..., 0]),
    'boxes_normalized': tf.constant([[197 / 240, 296 / 400, 1, 1]]),
  }
  _, labels = parse([Fixed([0, 0, 240, 400], 1.0)], element)  # 29x48
  expected = [197 / 240 * 29, 296 / 400 * 48, 29, 48]
  np.testing.assert_allclose(labels['gt_boxes'][0], expected, atol=1e-4)


@pytest.mark.parametrize('min_visible,kept', [(0.0, True), (0.1, True), (0.25, False)])
def test_objects_of_which_too_little_is_visible_are_dropped(min_visible, kept):
  """Columns 18 and 19 of the bar are visible: 18 of 118 pixels, and 28 / 168 of the box."""
  for include_mask in (True, False):
    element = l_shaped()
    if not include_mask:
      del element['masks_png']
    # An augmentation without a share of its own does not change that of the crop.
    augmentations = [Augmentation(), Fixed([0, 18, 24, 22], min_visible)]
    _, labels = parse(augmentations, element, include_mask=include_mask)
    assert (labels['gt_classes'].numpy() > 0).sum() == kept


def test_an_object_without_visible_pixels_is_dropped():
  _, labels = parse([Fixed([16, 12, 8, 20], 0.0)], l_shaped())
  assert not (labels['gt_classes'].numpy() > 0).any()
  assert not labels['gt_masks'].numpy().any()


def test_the_same_seed_gives_the_same_element():
  crop = [Crop(1.0, 0.3, 1.5, 0.1)]
  first, second, other = parse_all(crop, [l_shaped(seed) for seed in (3, 3, 4)])
  for one, two in zip(tf.nest.flatten(first), tf.nest.flatten(second)):
    np.testing.assert_array_equal(one, two)
  assert (first[0] != other[0]).numpy().any()


@pytest.mark.parametrize(
  'values,message',
  [
    ((2.0, 0.3, 1.5, 0.1), 'crop.probability'),
    ((0.5, 0.0, 1.5, 0.1), 'crop.min_area'),
    ((0.5, 30, 1.5, 0.1), 'crop.min_area.*percentage'),
    ((0.5, 0.3, 0.9, 0.1), 'crop.max_stretch'),
    ((0.5, 0.3, 1.5, 10), 'crop.min_visible'),
    ((0.5, float('nan'), 1.5, 0.1), 'crop.min_area'),
  ],
)
def test_impossible_ranges_are_refused(values, message):
  with pytest.raises(ConfigError, match=message):
    Crop(*values)
