"""Tests of pasted objects: pixels, masks, boxes, classes and semantic map, by hand in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data import parser as parsers
from htc_tf.data import preprocess
from htc_tf.data.augmentation.contrast import Contrast
from htc_tf.data.augmentation.copy_paste import CopyPaste
from htc_tf.data.augmentation.noise import Noise
from htc_tf.data.pasting import paste_objects
from htc_tf.errors import ConfigError
from htc_tf.ops import masks as mask_ops
from tests.augmented_record import RULE, VISIBLE, record

CANVAS = (32, 40)
FILL = 7.0


def placed(rectangles, visible=(24, 40), value=10.0, canvas=CANVAS):
  """A placed image of one value with rectangles (top, left, bottom, right) as objects."""
  masks = np.zeros([len(rectangles), *canvas], np.uint8)
  for mask, (top, left, bottom, right) in zip(masks, rectangles):
    mask[top:bottom, left:right] = 1
  semantic = np.full(canvas, 255, np.uint8)
  semantic[: visible[0], : visible[1]] = int(value)
  return {
    'image': tf.fill([*visible, 3], value),
    'image_info': tf.constant([[24.0, 40.0], visible, [1.0, 1.0], [0.0, 0.0]]),
    'padded_hw': tf.constant(canvas),
    'source_id': tf.constant(int(value), tf.int64),
    'boxes': tf.reshape(tf.constant(rectangles, tf.float32), [-1, 4]) + 0.25,
    'classes': tf.range(1, len(rectangles) + 1) + int(value),
    'masks': mask_ops.pack_bits(tf.constant(masks)),
    'semantic': tf.constant(semantic),
    'padding_value': tf.fill([3], FILL),
    parsers.SEED_KEY: tf.constant([3, 1], tf.int64),
  }


def paste(own, other, chosen, min_visible=0.1):
  result = paste_objects(own, other, tf.constant(chosen, tf.int32), min_visible)
  arrays = {key: value.numpy() for key, value in result.items()}
  return {**arrays, 'masks': mask_ops.unpack_bits(result['masks']).numpy()}


def test_a_pasted_object_hides_what_is_behind_it():
  own = placed([(2, 4, 12, 20), (14, 30, 18, 36)])
  other = placed([(0, 0, 3, 3), (6, 12, 22, 24)], value=90.0)
  result = paste(own, other, [1])
  front = np.zeros(CANVAS, bool)
  front[6:22, 12:24] = True
  np.testing.assert_array_equal(result['image'][..., 0], np.where(front[:24], 90, 10))
  np.testing.assert_array_equal(result['semantic'] == 90, front)
  assert (result['semantic'][24:] == 255).all()
  assert result['classes'].tolist() == [11, 12, 92]
  hidden = np.zeros(CANVAS, bool)
  hidden[2:12, 4:20] = True
  np.testing.assert_array_equal(result['masks'][0], hidden & ~front)
  np.testing.assert_array_equal(result['masks'][2], front)
  # The corner that is hidden leaves all four sides of the first box where they were annotated.
  expected = [[2.25, 4.25, 12.25, 20.25], [14.25, 30.25, 18.25, 36.25], [6.25, 12.25, 22.25, 24.25]]
  np.testing.assert_array_equal(result['boxes'], expected)
  assert result['source_id'] == 10


def test_a_hidden_side_of_a_box_moves_to_the_visible_pixels():
  own = placed([(2, 4, 12, 20)])
  result = paste(own, placed([(0, 12, 20, 30)], value=90.0), [0])
  np.testing.assert_array_equal(result['boxes'][0], [2.25, 4.25, 12.25, 12])


@pytest.mark.parametrize(
  'right,min_visible,kept', [(19, 0.0, True), (19, 0.1, False), (18, 0.1, True), (20, 0.0, False)]
)
def test_an_object_with_too_few_visible_pixels_is_dropped(right, min_visible, kept):
  """20 columns of the object; the columns from `right` on stay visible."""
  own = placed([(2, 0, 12, 20)])
  result = paste(own, placed([(0, 0, 20, right)], value=90.0), [0], min_visible)
  assert result['classes'].tolist() == ([11, 91] if kept else [91])


def test_objects_may_lie_in_the_padding_and_the_image_grows():
  own = placed([(2, 4, 12, 20)], visible=(14, 20))
  result = paste(own, placed([(10, 22, 20, 30)], value=90.0), [0])
  assert result['image_info'][1].tolist() == [21, 31]  # The box ends at 20.25 and 30.25.
  image = np.full([21, 31], FILL)
  image[:14, :20] = 10
  image[10:20, 22:30] = 90
  np.testing.assert_array_equal(result['image'][..., 1], image)
  assert result['masks'].shape[1:] == CANVAS


def test_a_parser_pastes_no_more_objects_than_it_has_rows_for():
  for limit, expected in ((1, 1), (2, 2)):
    augmentations = [CopyPaste(1.0, 100, 0.0)]
    parser = parsers.Parser(RULE, [32], 48, max_num_instances=limit, augmentations=augmentations)
    own, other = parser.place(record(4)), parser.place(record(5))
    other['masks'] = tf.roll(other['masks'], 20, axis=1)  # Below the object of the image.
    assert len(parser.combine(own, other)['classes']) == expected


def test_padding_beside_an_object_beyond_the_border_stays_padding():
  """A tall image gives an object below a wide image, whose pixels are then changed."""
  mask = np.zeros([40, 24, 1], np.uint8)
  mask[34:38, 2:10] = 1
  tall = {
    **record(),
    'image': tf.fill([40, 24, 3], tf.constant(200, tf.uint8)),
    'boxes_normalized': tf.constant([[34 / 40, 2 / 24, 38 / 40, 10 / 24]]),
    'masks_png': tf.stack([tf.io.encode_png(mask)]),
    'semantic': tf.constant(mask[..., 0]),
  }
  augmentations = [CopyPaste(1.0, 100, 0.1), Contrast(1.0, 1.0), Noise(1.0, 0.5)]
  parser = parsers.Parser(RULE, [32], 48, max_num_instances=3, augmentations=augmentations)
  image, labels = parser.finish(parser.combine(parser.place(record(4)), parser.place(tall)))
  assert labels['image_info'][1].numpy().tolist() == [46, 48]
  pasted = mask_ops.unpack_bits(labels['gt_masks']).numpy()[1].astype(bool)
  assert pasted[41:45, 3:11].all() and pasted.sum() < 80
  is_image = pasted.copy()
  is_image[VISIBLE] = True
  np.testing.assert_array_equal((image.numpy() != 0).any(axis=-1), is_image)


@pytest.mark.parametrize('canvas', [(32, 64), (64, 24)])
def test_objects_of_an_image_of_another_size_are_cut_at_the_padded_size(canvas):
  """The first object reaches over an edge, the second one shows too little."""
  tall = canvas[0] > 32
  rectangles = [(20, 8, 40, 16), (31, 0, 63, 8)] if tall else [(4, 30, 8, 50), (9, 39, 12, 60)]
  other = placed(rectangles, visible=canvas, value=90.0, canvas=canvas)
  result = paste(placed([]), other, [0, 1])
  assert result['classes'].tolist() == [91]
  np.testing.assert_array_equal(result['boxes'], [[20, 8, 32, 16] if tall else [4, 30, 8, 40]])
  assert result['masks'].sum() == (96 if tall else 40)


def test_without_objects_to_paste_the_image_is_unchanged():
  own = placed([(2, 4, 12, 20)])
  for other, chosen in ((placed([], value=90.0), []), (placed([(0, 0, 9, 9)], value=90.0), [])):
    result = paste_objects(own, other, tf.constant(chosen, tf.int32), 0.1)
    for key, value in own.items():
      np.testing.assert_array_equal(result[key], value)


MANY = [(row, column, row + 3, column + 3) for row in (0, 5, 10) for column in (0, 5, 10)]


def combined_classes(augmentation, own=(), limit=100):
  """A function from a seed to the classes of an image with pasted objects; traced once."""
  base, other = placed(list(own)), placed(MANY, value=90.0)

  @tf.function(autograph=False, input_signature=[tf.TensorSpec([2], tf.int32)])
  def combine(seed):
    return augmentation.combine(base, other, limit, seed)['classes']

  return lambda seed: combine(tf.constant([seed, 1])).numpy()


def numbers(augmentation, limit=100, own=(), seeds=60):
  """Number of pasted objects by seed."""
  classes = combined_classes(augmentation, own, limit)
  return np.array([(classes(seed) > 50).sum() for seed in range(seeds)])


def test_the_number_of_pasted_objects_is_random_and_limited():
  assert set(numbers(CopyPaste(1.0, 100, 0.1), seeds=70)) == set(range(1, 10))
  assert set(numbers(CopyPaste(1.0, 2, 0.1), seeds=20)) == {1, 2}
  assert np.mean(numbers(CopyPaste(0.3, 100, 0.1)) > 0) == pytest.approx(0.3, abs=0.17)


def test_no_object_is_pasted_for_which_the_labels_have_no_row():
  own = [(20, 30, 22, 32), (20, 34, 22, 36)]
  assert numbers(CopyPaste(1.0, 100, 0.1), limit=4, own=own, seeds=20).max() == 2
  assert numbers(CopyPaste(1.0, 100, 0.1), limit=2, own=own, seeds=5).max() == 0


def test_the_chosen_objects_differ_and_repeat_with_the_seed():
  classes = combined_classes(CopyPaste(1.0, 3, 0.1))

  def chosen(seed):
    return tuple(classes(seed).tolist())

  assert len({chosen(seed) for seed in range(20)}) > 8
  assert {label for seed in range(40) for label in chosen(seed)} == set(range(91, 100))
  assert chosen(5) == chosen(5)


def test_off_it_combines_nothing():
  off = CopyPaste(0.0, 100, 0.1)
  own = placed([])
  assert not off.combines and not off.refits_boxes
  assert off.combine(own, placed(MANY), 100, tf.constant([0, 1])) is own


@pytest.mark.parametrize(
  'values,message',
  [
    ((50, 100, 0.1), 'copy_paste.probability'),
    ((0.5, 0, 0.1), 'copy_paste.max_objects'),
    ((0.5, 100, -0.1), 'copy_paste.min_visible'),
  ],
)
def test_impossible_ranges_are_refused(values, message):
  with pytest.raises(ConfigError, match=message):
    CopyPaste(*values)


def test_the_padding_value_becomes_0():
  np.testing.assert_array_equal(
    preprocess.normalize(tf.reshape(tf.constant(preprocess.IMAGE_MEAN), [1, 1, 3])), [[[0, 0, 0]]]
  )
