"""Tests that records are shown as they are stored."""

import tracemalloc

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data import images, mask_codec
from htc_tf.errors import DataError
from htc_tf.reports import labeled_image, stored_images
from tests import tiny_records
from tests.reports import shown_records


def _records(folder):
  paths = sorted(str(path) for path in folder.glob('*.tfrecord'))
  return list(tf.data.TFRecordDataset(paths).as_numpy_iterator())


@pytest.fixture(scope='module', name='folder')
def _folder(tmp_path_factory):
  return shown_records.write(tmp_path_factory.mktemp('stored'), semantic='instances')


def _stored(folder, index, side=tiny_records.SIZE):
  return stored_images.stored_image(_records(folder)[index], shown_records.load_info(folder), side)


def test_boxes_and_masks_are_those_of_the_annotations(folder):
  labeled, stored_hw = _stored(folder, 0)
  assert stored_hw == (64, 64)
  assert labeled.classes.tolist() == [1, 2] and not labeled.is_crowd.any()
  for box, mask, (left, top, width, height), color in zip(
    labeled.boxes, shown_records.masks_of(labeled), tiny_records.BOXES[0], tiny_records.COLORS
  ):
    np.testing.assert_allclose(box, [top, left, top + height, left + width], atol=1e-4)
    expected = np.zeros([64, 64], bool)
    expected[top : top + height, left : left + width] = True
    np.testing.assert_array_equal(mask, expected)
    assert (labeled.pixels[mask] == color).all()
    np.testing.assert_array_equal(
      labeled.semantic == list(tiny_records.COLORS).index(color) + 1, mask
    )


def test_a_drawn_mask_is_where_the_mask_of_the_record_is(folder):
  labeled, _ = _stored(folder, 1)
  without = labeled._replace(pixels=np.full_like(labeled.pixels, 128))
  drawn = labeled_image.draw_objects(without, ['a', 'b'])
  ((left, top, width, height),) = tiny_records.BOXES[1]
  changed = (drawn != 128).any(axis=-1)
  assert changed[top : top + height, left : left + width].all()
  changed[top : top + height, left : left + width] = False
  # The name of the object, whose line of text fits below the box.
  changed[top + height : top + height + 22, left:] = False
  assert not changed.any()


@pytest.mark.parametrize('side', [32, 160])
def test_a_fitted_image_keeps_its_objects_in_place(folder, side):
  labeled, stored_hw = _stored(folder, 1, side)
  scale = side / 64
  assert stored_hw == (64, 64)
  assert labeled.pixels.shape == (side, side, 3) and labeled.semantic.shape == (side, side)
  ((left, top, width, height),) = tiny_records.BOXES[1]
  expected = np.zeros([side, side], bool)
  rows = slice(round(top * scale), round((top + height) * scale))
  expected[rows, round(left * scale) : round((left + width) * scale)] = True
  np.testing.assert_array_equal(shown_records.masks_of(labeled)[0], expected)
  np.testing.assert_array_equal(labeled.semantic == 1, expected)
  np.testing.assert_allclose(labeled.boxes[0, :2], [top * scale, left * scale], atol=1e-3)


def test_a_tiny_image_is_enlarged_only_eight_times():
  labeled = labeled_image.LabeledImage(
    np.zeros([2, 3, 3], np.uint8), np.array([[0, 0, 2, 3.0]]), np.array([1]), np.array([False])
  )
  fitted = labeled_image.fitted(labeled, 900)
  assert fitted.pixels.shape == (16, 24, 3) and fitted.boxes.tolist() == [[0, 0, 16, 24]]


def test_masks_of_many_objects_need_little_memory():
  side, number = 900, 400
  masks = (np.arange(side * side).reshape(side, side) % number == index for index in range(2))
  small = np.zeros([side, side], bool)
  small[100:110, 200:220] = True
  tracemalloc.start()
  encoded = labeled_image.encoded_masks((small for _ in range(number)), (side, side))
  fitted = labeled_image.fitted(
    labeled_image.LabeledImage(
      np.zeros([side, side, 3], np.uint8),
      np.zeros([number, 4]),
      np.ones(number, int),
      np.zeros(number, bool),
      encoded,
    ),
    480,
  )
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert len(fitted.masks) == number and fitted.masks[0]['size'] == [480, 480]
  assert peak < number * side * side / 10  # As bytes, one for a pixel, they need ten times as much.
  for mask in masks:
    (again,) = labeled_image.encoded_masks([mask], (side, side))
    np.testing.assert_array_equal(mask_codec.decode(again), mask)


def test_an_image_without_instances_is_shown(folder):
  labeled, _ = _stored(folder, 3)
  assert labeled.masks == [] and labeled.boxes.shape == (0, 4)
  np.testing.assert_array_equal(labeled_image.draw_objects(labeled, ['a', 'b']), labeled.pixels)
  assert (labeled.semantic == 0).all()


def test_records_without_masks_and_semantic_maps_are_shown(tmp_path):
  folder = shown_records.write(tmp_path, include_masks=False)
  labeled, _ = _stored(folder, 0)
  assert labeled.masks is None and labeled.semantic is None and len(labeled.boxes) == 2
  assert labeled_image.draw_semantic(labeled, {}) is None


def test_crowd_regions_are_named(tmp_path):
  def change(content):
    content['annotations'][0]['iscrowd'] = 1

  folder = shown_records.write(tmp_path, change=change, semantic='instances')
  labeled, _ = _stored(folder, 0)
  assert labeled.is_crowd.tolist() == [True, False]
  assert (labeled.semantic[shown_records.masks_of(labeled)[0]] == images.IGNORED_LABEL).all()
  plain = labeled_image.draw_objects(labeled._replace(is_crowd=np.zeros(2, bool)), ['a', 'b'])
  crowd = labeled_image.draw_objects(labeled, ['a', 'b'])
  assert (plain != crowd).any()


def test_a_record_of_another_conversion_is_refused(tmp_path, folder):
  other = shown_records.write(tmp_path, include_masks=False)
  with pytest.raises(DataError, match='no instance masks'):
    stored_images.stored_image(_records(other)[0], shown_records.load_info(folder), 64)
