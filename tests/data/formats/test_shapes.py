"""Tests of polygons of shapes."""

import math

import numpy as np
import pytest

from htc_tf.data.formats import shapes


def test_an_ellipse_has_the_area_of_an_ellipse():
  for radius_x, radius_y in ((1, 1), (10, 3), (400, 250)):
    x, y = np.reshape(shapes.ellipse(5, 7, radius_x, radius_y, 0.3), [-1, 2]).T
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    assert area == pytest.approx(math.pi * radius_x * radius_y, rel=1e-6)
