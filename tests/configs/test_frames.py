"""Tests of the choice of padded sizes."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import padding
from htc_tf.configs.experiments import COCO_BUCKETS
from htc_tf.configs.frames import Resizing, choose_frames
from htc_tf.data import preprocess

_RESIZING = Resizing(384, 384)


def test_one_size_of_images_is_one_frame():
  assert choose_frames([(600, 800, 15)], _RESIZING, 32, 4) == [(288, 384)]


def test_orientations_are_frames_of_their_own():
  sizes = [(600, 800, 10), (800, 600, 3), (500, 500, 1)]
  assert choose_frames(sizes, _RESIZING, 32, 4) == [(288, 384), (384, 288), (384, 384)]


def test_the_frames_that_add_the_fewest_pixels_are_merged():
  # 384x288 for three images would add 3 * 96 * 384 pixels; 320x384 into 384x384 adds 64 * 384.
  sizes = [(600, 800, 10), (800, 600, 3), (640, 768, 1), (500, 500, 1)]
  assert choose_frames(sizes, _RESIZING, 32, 3) == [(288, 384), (384, 288), (384, 384)]
  assert choose_frames(sizes, _RESIZING, 32, 1) == [(384, 384)]


@pytest.mark.parametrize('number', [1, 2, 6])
def test_every_image_fits_into_a_frame_whatever_the_sizes(number):
  rng = np.random.default_rng(0)
  sizes = [(int(h), int(w), 1) for h, w in rng.integers(20, 3000, [300, 2])]
  resizing = Resizing(500, 700)
  frames = choose_frames(sizes, resizing, 32, number)
  assert len(frames) <= number
  for height, width, _ in sizes:
    scaled = preprocess.scaled_size(tf.constant([height, width]), *resizing).numpy()
    assert any((scaled <= frame).all() for frame in frames)
    assert resizing.scale(height, width) == pytest.approx(
      float(preprocess.resize_scale(tf.constant([height, width]), *resizing)), rel=1e-12
    )


def test_sizes_of_coco_get_as_little_padding_as_its_buckets():
  sizes = [(h, w, count) for (h, w), count in padding.image_counts().items()]
  frames = choose_frames(sizes, Resizing(800, 1333), 32, len(COCO_BUCKETS))

  def pixels(buckets):
    scaled = padding.scaled_sizes()
    return sum(min(h * w for h, w in buckets if h >= y and w >= x) for y, x in scaled)

  assert pixels(frames) <= 1.02 * pixels(COCO_BUCKETS)
