"""Tests of measurements of differences, and of rows whose reference is missing."""

import numpy as np
import pytest

from parity import measurement
from parity.measurement import Measurement
from parity.pack import MissingArrayError, Pack


def test_relative_difference_is_divided_by_the_largest_reference_value():
  expected = np.array([1.0, -4.0])
  assert measurement.relative_difference(expected + np.array([0.0, 0.5]), expected) == 0.125
  assert np.isnan(measurement.relative_difference(np.ones(3), expected))


def test_reference_boxes_without_a_near_box_are_lost():
  boxes = np.array([[0, 0, 9, 9], [5, 5, 9, 9.0]])
  reference = np.array([[5, 5, 9, 9.04], [0, 0, 9, 9.06], [1, 1, 2, 2], [0, 0, 9, 9]])
  assert measurement.lost_share(boxes, reference, 0.05) == 0.5


def test_rows_whose_reference_is_missing_are_listed_as_not_run():
  def missing():
    raise MissingArrayError('C2 of file.npz')

  shown = []
  rows = [
    Measurement('a', 0.5, lambda: 0.5),
    Measurement('b', 1, missing),
    Measurement('c', 0.5, lambda: np.nan),
  ]
  checks, not_run = measurement.run(rows, shown.append)
  assert [(check.name, check.ok) for check in checks] == [('a', True), ('c', False)]
  assert not_run == [('b', 1, 'C2 of file.npz')]
  assert len(shown) == 2


def test_nothing_is_computed_if_the_reference_is_missing():
  def missing():
    raise MissingArrayError('x')

  check = measurement.near('a', lambda: pytest.fail('The model ran.'), missing)
  assert measurement.run([check])[1]


def test_the_error_names_the_missing_array_or_file(tmp_path):
  np.savez(tmp_path / 'some.npz', a=np.arange(3))
  pack = Pack(tmp_path)
  np.testing.assert_array_equal(pack.arrays('some')['a'], [0, 1, 2])
  assert pack.arrays('some').names() == ['a'] and not pack.arrays('other').names()
  with pytest.raises(MissingArrayError, match=r'b of some.npz'):
    _ = pack.arrays('some')['b']
  with pytest.raises(MissingArrayError, match=r'other.npz'):
    _ = pack.arrays('other')['a']
  with pytest.raises(MissingArrayError, match=r'mmdet_x_shapes.json'):
    pack.mmdet_state('x')
  with pytest.raises(MissingArrayError, match=r'paddle_r50_shapes.json'):
    pack.paddle_state()
