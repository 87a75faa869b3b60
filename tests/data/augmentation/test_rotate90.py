"""Tests of turns by 90 degrees, against numpy.rot90."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data import placement as placements
from htc_tf.data.augmentation.base import PlacementPlan
from htc_tf.data.augmentation.rotate90 import Rotate90, turned
from htc_tf.data.padding import padding_rule
from htc_tf.errors import ConfigError
from htc_tf.ops import masks as mask_ops
from tests.augmented_record import over_seeds, parse, record

PLAN = PlacementPlan(tf.constant(1.0, tf.float64), tf.constant([False, False]))


class Turn(Rotate90):
  """A turn by a given number of quarters."""

  def __init__(self, quarters):
    super().__init__(1.0)
    self._quarters = quarters

  def change_plan(self, plan, seed):
    return turned(plan, tf.constant(self._quarters))


def apply(plan, array):
  """A NumPy array turned and mirrored by a plan."""
  array = array.T if plan.transpose else array
  array = array[::-1] if plan.flip_yx[0] else array
  return array[:, ::-1] if plan.flip_yx[1] else array


@pytest.mark.parametrize('quarters', range(4))
@pytest.mark.parametrize('flip', [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize('transpose', [False, True])
def test_a_turn_follows_what_the_plan_did_before(quarters, flip, transpose):
  array = np.arange(15).reshape(3, 5)
  plan = PLAN._replace(flip_yx=tf.constant(flip), transpose=tf.constant(transpose))
  expected = np.rot90(apply(plan, array), quarters)
  np.testing.assert_array_equal(apply(turned(plan, tf.constant(quarters)), array), expected)


def unpadded(element):
  """Image, masks and semantic map of the visible part, and boxes."""
  image, labels = element
  height, width = labels['image_info'].numpy()[1].astype(int)
  mask = mask_ops.unpack_bits(labels['gt_masks']).numpy()[0]
  arrays = (image.numpy(), mask, labels['gt_semantic'].numpy())
  return [array[:height, :width] for array in arrays], labels['gt_boxes'].numpy()[0]


def square_record():
  """A record of noise with an L-shaped object."""
  element = record()
  noise = np.random.default_rng(2).integers(0, 256, [24, 24, 3], dtype=np.uint8)
  mask = np.zeros([24, 24, 1], np.uint8)
  mask[3:9, 5:20] = mask[9:11, 5:7] = 1
  element['image'], element['semantic'] = tf.constant(noise), tf.constant(mask[..., 0] * 2)
  element['masks_png'] = tf.stack([tf.io.encode_png(mask)])
  element['boxes_normalized'] = tf.constant([[3 / 24, 5 / 24, 11 / 24, 20 / 24]])
  return element


@pytest.fixture(scope='module', name='plain')
def _plain():
  return unpadded(parse([], square_record()))


@pytest.mark.parametrize('quarters', range(4))
def test_image_mask_box_and_semantic_map_are_turned_together(plain, quarters):
  arrays_before, box = plain
  arrays, turned_box = unpadded(parse([Turn(quarters)], square_record()))
  for array, expected in zip(arrays, arrays_before):
    # The order of the axes in the resizing changes the rounding of a few pixels.
    np.testing.assert_allclose(array, np.rot90(expected, quarters), atol=0.02)
  size = 32
  for _ in range(quarters):
    y0, x0, y1, x1 = box
    box = np.array([size - x1, y0, size - x0, y1])
  np.testing.assert_allclose(turned_box, box, atol=1e-4)


def test_a_turned_image_gets_the_bucket_of_its_orientation():
  rule = padding_rule([(32, 48), (48, 32)], (48, 48))
  arguments = (tf.constant([20, 40]), (32,), 48, rule)
  placements_ = [
    placements.choose_placement(*arguments, [Turn(quarters)], tf.constant([0, 1]))
    for quarters in (0, 1)
  ]
  assert [place.padded_hw.numpy().tolist() for place in placements_] == [[32, 48], [48, 32]]
  assert placements_[1].visible_hw.numpy().tolist() == [48, 24]
  assert placements_[1].original_hw.numpy().tolist() == [40, 20]


def test_turns_are_equally_likely():
  counts = collections.Counter()
  for plan in over_seeds(lambda seed: Rotate90(0.75).change_plan(PLAN, seed), 400):
    counts[(bool(plan.transpose), *plan.flip_yx.tolist())] += 1
  expected = {(False, False, False), (True, True, False), (False, True, True), (True, False, True)}
  assert set(counts) == expected
  assert all(70 <= count <= 135 for count in counts.values())


def test_without_probability_the_plan_is_unchanged():
  assert Rotate90(0.0).change_plan(PLAN, tf.constant([0, 1])) is PLAN


def test_a_percentage_is_refused():
  with pytest.raises(ConfigError, match=r'rotate90.probability is out of range.*percentage'):
    Rotate90(50)
