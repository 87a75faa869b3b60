"""Tests of readings of single values and of their counts."""

import math

import pytest

from htc_tf.data.check_report import CheckReport
from htc_tf.data.value_reader import ValueReader


def counted(read):
  """The result of a reading, and the counts."""
  report = CheckReport()
  return read(ValueReader(report)), report.to_json()


@pytest.mark.parametrize(
  'value, expected, counts',
  [
    (7, 7, {}),
    (-7, -7, {}),
    (7.0, 7, {'integer_as_float': 1}),
    ('7', 7, {'number_as_text': 1}),
    (' 7.00 ', 7, {'number_as_text': 1}),
    (2**63 - 1, 2**63 - 1, {}),
    *((value, None, {}) for value in (7.5, '7.5', '', 'x', None, True, [], {}, 2**63)),
    *((value, None, {}) for value in (math.nan, math.inf, '9' * 5000, 10**400, '²', '\u0667')),
  ],
)
def test_integers(value, expected, counts):
  assert counted(lambda reader: reader.integer(value, 'id')) == (expected, counts)


@pytest.mark.parametrize(
  'value, expected, counts',
  [
    (7, 7, {}),
    (7.5, 7.5, {}),
    ('7.5', 7.5, {'number_as_text': 1}),
    ('1e3', 1000, {'number_as_text': 1}),
    *((value, None, {}) for value in (None, True, '', 'x', [], {}, '1,5', 'nan', '-inf')),
    *((value, None, {}) for value in (math.nan, math.inf, 1e300, 10**400, '1e300')),
  ],
)
def test_numbers(value, expected, counts):
  assert counted(lambda reader: reader.number(value, 'area')) == (expected, counts)


@pytest.mark.parametrize(
  'box, expected, counts',
  [
    ([1, 2.5, 3, 4], [1, 2.5, 3, 4], {}),
    ([1, '2', '3.5', 4], [1, 2, 3.5, 4], {'number_as_text': 2}),
    *((box, None, {}) for box in (None, 5, 'x', [], [1, 2, 3], [1, 2, 3, None], {'x': 1})),
  ],
)
def test_boxes(box, expected, counts):
  assert counted(lambda reader: reader.box(box, 'annotation 1')) == (expected, counts)


@pytest.mark.parametrize(
  'entry, expected, counts',
  [
    ({}, 0, {'iscrowd_missing': 1}),
    ({'iscrowd': 0}, 0, {}),
    ({'iscrowd': 1}, 1, {}),
    ({'iscrowd': 2}, 1, {'iscrowd_form': 1}),
    ({'iscrowd': False}, 0, {'iscrowd_form': 1}),
    ({'iscrowd': 'False'}, 0, {'iscrowd_form': 1}),
    ({'iscrowd': 'perhaps'}, 0, {'bad_iscrowd': 1}),
    ({'iscrowd': math.nan}, 0, {'bad_iscrowd': 1}),
    ({'iscrowd': 10**400}, 0, {'bad_iscrowd': 1}),
  ],
)
def test_crowds(entry, expected, counts):
  assert counted(lambda reader: reader.is_crowd(entry, 'annotation 1')) == (expected, counts)
