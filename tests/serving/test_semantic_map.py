"""Tests of the semantic map of an image."""

import numpy as np
import pytest
import tensorflow as tf

import htc_tf
from htc_tf.errors import InputError
from htc_tf.serving.semantic_map import Frame, most_probable
from tests.serving import tiny_model


def _ramp(cells, stride, border, axis):
  """Logits of two classes; class 1 wins beyond a border in pixels of the network input."""
  positions = np.arange(cells, dtype=np.float32) * stride - border
  logits = np.zeros([cells, cells, 2], np.float32)
  logits[..., 1] = positions[:, None] if axis == 0 else positions
  return logits


@pytest.mark.parametrize('axis', [0, 1])
@pytest.mark.parametrize(
  'stride, scale, border, first',
  [
    (1, 1.0, 2.5, 3),
    (8, 1.0, 10.2, 11),  # Cells lie at pixels 0, 8, 16, ...
    (8, 2.0, 10.2, 5),  # (4 + 0.5) * 2 - 0.5 = 8.5 and (5 + 0.5) * 2 - 0.5 = 10.5.
    (8, 0.5, 10.2, 21),  # (20 + 0.5) / 2 - 0.5 = 9.75 and (21 + 0.5) / 2 - 0.5 = 10.25.
  ],
)
def test_a_border_between_classes_has_its_place_in_the_image(stride, scale, border, first, axis):
  side = round(32 / scale)
  frame = Frame((side, side), (32, 32), (scale, scale), stride)
  labels = most_probable(_ramp(32 // stride, stride, border, axis), frame)
  expected = np.broadcast_to(np.arange(side) >= first, [side, side])
  np.testing.assert_array_equal(labels, expected.T if axis == 0 else expected)


def test_cells_of_the_padding_are_not_read():
  logits = _ramp(4, 8, 10.2, axis=0)
  frame = Frame((17, 20), (17, 20), (1.0, 1.0), 8)
  expected = most_probable(logits, frame)
  logits[3:], logits[:, 3:] = np.nan, np.nan
  np.testing.assert_array_equal(most_probable(logits, frame), expected)


def test_the_label_of_one_class_is_zero():
  assert not most_probable(
    np.full([2, 2, 1], -3.0, np.float32), Frame((9, 7), (9, 7), (1, 1), 8)
  ).any()


@pytest.mark.parametrize('height, width', [(40, 60), (20, 40), (64, 33), (1, 1)])
def test_a_map_has_the_size_of_its_image(predictor, height, width):
  pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
  labels = predictor.semantic_map(pixels)
  assert labels.shape == (height, width) and labels.dtype == np.int32
  assert set(np.unique(labels)) <= {0, 1, 2}


def test_the_map_follows_the_logits_of_the_model(predictor):
  """At the pixels of cells, whose logits are not interpolated."""
  pixels = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)  # It is not resized.
  inputs, info = predictor.prepare(tf.constant(pixels[np.newaxis]))
  inputs = {'images': inputs[:, :64], 'image_shape': info[:, 1]}
  _, logits = predictor.model.extract(inputs, training=False)
  labels = logits.numpy()[0, :6].argmax(-1)
  assert len(np.unique(labels)) > 1
  np.testing.assert_array_equal(predictor.semantic_map(pixels)[::8, ::8], labels)


def test_a_model_without_the_branch_says_so(tmp_path):
  changes = {'model': {'semantic_head': {'enabled': False}}}
  model = htc_tf.load_model(tiny_model.write(tmp_path, changes=changes))
  with pytest.raises(InputError, match='no semantic map'):
    model.semantic_map(np.zeros([8, 8, 3], np.uint8))


@pytest.mark.parametrize(
  'image', [np.zeros([8, 8], np.uint8), np.zeros([8, 8, 3]), np.zeros([0, 8, 3], np.uint8), 'a.jpg']
)
def test_another_kind_of_image_is_refused(predictor, image):
  with pytest.raises(InputError, match='cannot read these images'):
    predictor.semantic_map(image)
