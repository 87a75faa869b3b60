"""Tests of drawing the objects of a frame."""

import numpy as np
import pytest

from htc_tf.data.images import image_from_pixels
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.instances import Instances
from htc_tf.serving.video.drawing import draw_frame
from htc_tf.visualization import palette


def _image(num=1, names=('cat', 'dog')):
  boxes = [[100, 120 * number + 20, 180, 120 * number + 100] for number in range(num)]
  instances = Instances(
    np.array(boxes, np.float32).reshape(-1, 4),
    np.arange(num) % 2 + 1,
    np.full(num, 0.9, np.float32),
    None,
  )
  return DetectedImage(image_from_pixels(np.full((240, 400, 3), 90, np.uint8)), instances, names)


def test_the_number_is_written_beside_the_name(monkeypatch):
  monkeypatch.setattr(palette, 'instance_color', lambda index: (250, 250, 0))
  first, second, plain = (draw_frame(_image(), ids) for ids in ([1], [2], None))
  outside = np.ones((240, 400), bool)
  outside[60:100] = False  # The line of text is above the box.
  for other in (second, plain):
    changed = (first != other).any(-1)
    assert changed.any() and not (changed & outside).any()
  named = draw_frame(_image(names=('#1 cat', 'dog')), None)
  np.testing.assert_array_equal(first, named)


def test_an_object_keeps_its_color_wherever_it_is_in_the_order():
  drawn = draw_frame(_image(3), [7, 2, 7])
  edges = [tuple(drawn[140, 120 * number + 20]) for number in range(3)]
  assert edges[0] == edges[2] == palette.instance_color(7) != edges[1]
  by_order = draw_frame(_image(3), None)
  assert tuple(by_order[140, 20]) == palette.instance_color(0)


@pytest.mark.parametrize('ids', [None, []])
def test_nothing_is_drawn_on_a_frame_without_objects(ids):
  image = _image(0)
  np.testing.assert_array_equal(draw_frame(image, ids), image.pixels)
