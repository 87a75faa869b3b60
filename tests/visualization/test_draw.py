"""Tests of drawing instances, their labels and colors."""

import itertools

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from htc_tf.errors import InputError
from htc_tf.visualization import draw, labels, palette

_NAMES = ['cat', 'dog']


def _gray_image(image_hw=(120, 160), value=90):
  return np.full((*image_hw, 3), value, np.uint8)


def _instances(image_hw=(120, 160)):
  """Two boxes, and masks that are discs in them."""
  boxes = np.array([[40, 20, 80, 60], [50, 90, 110, 150]], np.float32)
  rows, columns = np.mgrid[: image_hw[0], : image_hw[1]] + 0.5
  masks = np.stack(
    [
      ((rows - (y_min + y_max) / 2) / (y_max - y_min)) ** 2
      + ((columns - (x_min + x_max) / 2) / (x_max - x_min)) ** 2
      < 0.25
      for y_min, x_min, y_max, x_max in boxes
    ]
  )
  return boxes, masks, np.array([1, 2]), np.array([0.9, 0.6])


def _changed(before, after):
  return (before != after).any(axis=-1)


def test_only_pixels_of_masks_boxes_and_labels_change():
  image = _gray_image()
  boxes, masks, classes, scores = _instances()
  drawn = draw.draw_instances(image, boxes, masks, classes, scores, _NAMES)
  assert drawn.shape == image.shape and drawn.dtype == np.uint8
  changed = _changed(image, drawn)
  assert changed[masks.any(axis=0)].all()
  allowed = masks.any(axis=0)
  for y_min, x_min, y_max, x_max in boxes.astype(int):
    allowed[y_min - 20 : y_min, x_min:] = True  # the label above the box
    allowed[y_min:y_max, [x_min, x_max - 1]] = True
    allowed[[y_min, y_max - 1], x_min:x_max] = True
    assert changed[y_min:y_max, [x_min, x_max - 1]].all()
    assert changed[y_min - 8 : y_min, x_min : x_min + 10].any()
  assert not changed[~allowed].any()


def test_arguments_are_not_modified():
  image = _gray_image()
  arguments = (image, *_instances())
  copies = [array.copy() for array in arguments]
  draw.draw_instances(*arguments, _NAMES)
  for array, copy in zip(arguments, copies):
    np.testing.assert_array_equal(array, copy)


def test_without_instances_the_result_is_a_copy_of_the_image():
  image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
  for masks in (None, np.zeros((0, 30, 40), bool), []):
    drawn = draw.draw_instances(image, np.zeros((0, 4)), masks, np.zeros(0, int), None, _NAMES)
    np.testing.assert_array_equal(drawn, image)
    assert drawn is not image


def test_encoded_masks_are_drawn_as_arrays():
  boxes, masks, classes, scores = _instances()
  rles = [mask_utils.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]
  np.testing.assert_array_equal(
    draw.draw_instances(_gray_image(), boxes, masks, classes, scores, _NAMES),
    draw.draw_instances(_gray_image(), boxes, rles, classes, scores, _NAMES),
  )


def test_without_masks_the_inside_of_boxes_is_unchanged():
  boxes, _, classes, _ = _instances()
  drawn = draw.draw_instances(_gray_image(), boxes, None, classes, None, _NAMES)
  changed = _changed(_gray_image(), drawn)
  assert not changed[45:75, 25:55].any()
  assert changed[40:80, 20].all()


def test_masks_are_translucent():
  image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
  boxes, masks, classes, scores = _instances()
  drawn = draw.draw_instances(image, boxes, masks, classes, scores, _NAMES)
  inside = np.s_[55:65, 35:45]
  for channel in range(3):
    before, after = (array[inside][..., channel].ravel() for array in (image, drawn))
    assert np.corrcoef(before, after)[0, 1] > 0.99


def test_a_small_instance_is_visible_on_a_large_one():
  boxes = np.array([[60, 60, 70, 70], [10, 10, 110, 150]], np.float32)
  masks = np.zeros((2, 120, 160), bool)
  masks[0, 60:70, 60:70] = True
  masks[1, 10:110, 10:150] = True
  drawn = draw.draw_instances(_gray_image(), boxes, masks, [1, 2], None, _NAMES)
  np.testing.assert_array_equal(drawn[60, 64], palette.instance_color(0))


def test_the_image_is_enlarged_before_drawing():
  boxes, masks, classes, scores = _instances()
  drawn = draw.draw_instances(_gray_image(), boxes, masks, classes, scores, _NAMES, enlarge=3)
  assert drawn.shape == (360, 480, 3)
  # The line of the box is one pixel wide, as on an image of this size, not three.
  np.testing.assert_array_equal(drawn[200, 60], palette.instance_color(0))
  np.testing.assert_array_equal(drawn[123, 62], [90] * 3)


@pytest.mark.parametrize(
  'image_hw, factor',
  [((512, 128), 3), ((100, 100), 4), ((480, 640), 1), ((2500, 100), 1), ((1, 1), 400)],
)
def test_enlargement_makes_small_images_legible(image_hw, factor):
  assert draw.legible_enlargement(image_hw) == factor


def test_boxes_that_extend_beyond_the_image_are_clipped():
  boxes = np.array([[-30, -20, 30, 40], [100, 140, 200, 300], [5, 5, 5, 5]], np.float32)
  drawn = draw.draw_instances(_gray_image(), boxes, None, [1, 2, 7], [1, 0.5, 0], _NAMES)
  assert drawn.shape == (120, 160, 3)


def test_an_image_of_one_pixel_is_drawn():
  drawn = draw.draw_instances(
    _gray_image((1, 1)), [[0, 0, 1, 1]], np.ones((1, 1, 1), bool), [1], [0.5], _NAMES
  )
  np.testing.assert_array_equal(drawn[0, 0], palette.instance_color(0))


@pytest.mark.parametrize(
  'change, message',
  [
    ({'image': np.zeros((10, 10), np.uint8)}, 'uint8'),
    ({'image': np.zeros((10, 10, 3), np.float32)}, 'float32'),
    ({'classes': [1]}, "'classes': 1"),
    ({'scores': [0.5]}, "'scores': 1"),
    ({'masks': np.zeros((1, 120, 160), bool)}, "'masks': 1"),
    ({'masks': np.zeros((2, 28, 28), bool)}, r'\(120, 160\).*\(28, 28\)'),
    ({'boxes_original': np.full((2, 4), np.nan)}, 'finite boxes'),
  ],
)
def test_arguments_that_do_not_fit_are_rejected(change, message):
  boxes, masks, classes, scores = _instances()
  arguments = {
    'image': _gray_image(),
    'boxes_original': boxes,
    'masks': masks,
    'classes': classes,
    'scores': scores,
    'names': _NAMES,
    **change,
  }
  with pytest.raises(InputError, match=message):
    draw.draw_instances(**arguments)


def test_colors_are_distinct_stable_and_legible():
  colors = [palette.instance_color(index) for index in range(60)]
  assert len(set(colors)) == 60
  assert colors == [palette.instance_color(index) for index in range(60)]
  for color, following in itertools.pairwise(colors):
    assert np.abs(np.subtract(color, following)).max() > 60
    background, text = (
      np.dot(part, [0.299, 0.587, 0.114]) for part in (color, palette.text_color(color))
    )
    assert background > 100 and abs(background - text) > 100


def test_labels_do_not_cover_each_other():
  image = _gray_image((200, 200))
  wanted = [
    labels.Label((50, 50, 60, 60), ['a long label', 'short'], palette.instance_color(index))
    for index in range(40)
  ]
  drawn = labels.draw_labels(image, wanted)
  backgrounds = [(drawn == color).all(axis=-1) for color in (label.color for label in wanted)]
  places = [np.argwhere(background) for background in backgrounds if background.any()]
  assert 2 <= len(places) < 40  # labels without room are skipped
  corners = [(place.min(axis=0), place.max(axis=0)) for place in places]
  for index, (low, high) in enumerate(corners):
    for other_low, other_high in corners[index + 1 :]:
      assert (high < other_low).any() or (other_high < low).any()


def test_instances_have_the_given_colors():
  image = np.zeros((40, 60, 3), np.uint8)
  boxes = np.array([[5, 5, 30, 20], [5, 30, 30, 50]], np.float32)
  colors = [(200, 10, 10), (10, 200, 10)]
  drawn = draw.draw_instances(image, boxes, None, np.array([1, 1]), None, ['x'], colors=colors)
  assert tuple(drawn[5, 6]) == colors[0] and tuple(drawn[29, 40]) == colors[1]
