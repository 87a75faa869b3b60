"""Tests of frames against the pixels and boxes of TensorFlow's preprocessing."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data import preprocess
from htc_tf.errors import InputError
from htc_tf.serving import frame

_RULE = frame.FrameRule(height=64, width=96, min_size=48, max_size=80)
_SIZES = [(90, 120), (37, 53), (48, 48), (500, 31), (1, 1), (3, 700), (64, 96), (47, 79)]


def _image(height, width, channels=3, dtype=np.uint8):
  return (
    np.random.default_rng(height)
    .integers(0, np.iinfo(dtype).max, [height, width, channels])
    .astype(dtype)
  )


@pytest.mark.parametrize('size', _SIZES)
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_pixels_are_those_of_the_preprocessing(size, dtype):
  image = _image(*size, dtype=dtype)
  placed = frame.place(image, _RULE._replace(bits=8 * image.itemsize))
  height, width = preprocess.scaled_size(size, 48, 80, (64, 96)).numpy()
  assert placed.image_shape.tolist() == [[height, width]]
  resized = preprocess.resize_image(tf.constant(image), (height, width)).numpy()
  np.testing.assert_array_equal(placed.images[0, :height, :width], resized)
  assert placed.images.dtype == dtype and placed.images.shape == (1, 64, 96, 3)
  assert not placed.images[0, height:].any() and not placed.images[0, :, width:].any()


def test_the_published_size_has_the_published_pixels():
  image = _image(480, 640)
  placed = frame.place(image, frame.FrameRule(800, 1344, 800, 1333))
  expected = preprocess.resize_image(tf.constant(image), (800, 1067)).numpy()
  np.testing.assert_array_equal(placed.images[0, :, :1067], expected)


def test_boxes_of_the_frame_become_boxes_of_the_image():
  placed = frame.place(_image(90, 120), _RULE)  # Resized to 48 x 64.
  boxes = frame.boxes_in_image(
    np.array([[0, 0, 48, 64], [12, 16, 24, 32], [-3, 5, 60, 80]]), placed
  )
  expected = [[0, 0, 90, 120], [22.5, 30, 45, 60], [0, 9.375, 90, 120]]
  np.testing.assert_allclose(boxes, expected, rtol=1e-6)
  assert boxes.dtype == np.float32


@pytest.mark.parametrize(
  'image',
  [
    np.zeros([4, 4], np.uint8),
    np.zeros([1, 4, 4, 3], np.uint8),
    np.zeros([4, 4, 4], np.uint8),
    np.zeros([4, 4, 3], np.float32),
    np.zeros([4, 4, 3], np.uint16),
    np.zeros([0, 4, 3], np.uint8),
    'image.png',
  ],
)
def test_other_arrays_are_rejected(image):
  with pytest.raises(InputError, match=r'Expected: \[height, width, 3\] uint8'):
    frame.place(image, _RULE)


def test_the_module_does_not_import_tensorflow():
  code = (
    'import sys; from htc_tf.serving import frame; '
    'assert not {"tensorflow", "tf_keras", "cv2"} & set(sys.modules)'
  )
  subprocess.run([sys.executable, '-c', code], check=True)
