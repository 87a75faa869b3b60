"""Tests of rows of figures, of growth, and of their layout as text."""

import pytest

from benchmarks import table


def _run(seconds, peak=100, cpu=1.0):
  return {'seconds': seconds, 'cpu_seconds': cpu, 'peak_bytes': peak}


def test_a_row_has_medians_the_ratio_and_the_largest_peak():
  row = table.make_row(
    'rpn',
    '64x96',
    [_run(3.0, 100), _run(1.0, 400), _run(2.0, 200)],
    [_run(9.0, 50), _run(4.0, 80, cpu=3.0), _run(1.0, 60)],
    'mmdet',
    5.0,
  )
  assert row == {
    'name': 'rpn',
    'size': '64x96',
    'seconds': 2.0,
    'peer': 'mmdet',
    'peer_seconds': 4.0,
    'ratio': 0.5,
    'gmac': 5.0,
    'peak_bytes': 400,
    'cpu_seconds': 1.0,
    'peer_cpu_seconds': 1.0,
    'peer_peak_bytes': 80,
    'runs': 3,
  }


def test_without_a_peer_its_figures_are_none():
  row = table.make_row('nms', '64x96', [_run(3.0)], [], 'mmdet', None)
  assert {key for key, value in row.items() if value is None} == {
    'peer',
    'peer_seconds',
    'ratio',
    'peer_cpu_seconds',
    'peer_peak_bytes',
    'gmac',
  }


def test_shares_refer_to_the_convolution_of_the_same_size():
  rows = [
    table.make_row(name, size, [_run(seconds)], [], None, gmac)
    for name, size, seconds, gmac in (
      ('convolution', 'a', 1.0, 100.0),
      ('fpn', 'a', 2.0, 50.0),
      ('nms', 'a', 1.0, None),
      ('convolution', 'b', 2.0, 100.0),
      ('fpn', 'b', 2.0, 50.0),
      ('fpn', 'c', 2.0, 50.0),
    )
  ]
  table.add_shares(rows)
  assert [row['share'] for row in rows] == [1.0, 0.25, None, 1.0, 0.5, None]


def test_rows_are_laid_out_in_columns():
  rows = [
    table.make_row('rpn', '64x96', [_run(2.0, 3e9)], [_run(4.0, 2e9)], 'mmdet', 5.0),
    table.make_row('paste', '64x96', [_run(0.5)], [], None, None),
  ]
  table.add_shares(rows)
  head, first, second = table.format_rows(rows).splitlines()
  assert head.split()[:2] == ['name', 'size']
  assert first.split() == [
    'rpn',
    '64x96',
    '2.0000',
    '1.0000',
    '4.0000',
    '1.0000',
    '0.50',
    '5.0',
    '-',
    '3.00',
    '2.00',
    '1.50',
  ]
  assert second.split() == [
    'paste',
    '64x96',
    '0.5000',
    '1.0000',
    '-',
    '-',
    '-',
    '-',
    '-',
    '0.00',
    '-',
    '-',
  ]


def test_growth_is_the_exponent_of_a_power_law():
  amounts = [10, 20, 80]
  assert table.growth(amounts, [3 * amount**2 for amount in amounts]) == pytest.approx([2, 2])
  assert table.growth(amounts, [5, 5, 5]) == pytest.approx([0, 0])
  assert table.growth([10], [1]) == []


def test_growth_is_laid_out_in_columns():
  text = table.format_growth({'RoIs (64x96)': {100: 1.0, 200: 2.0}})
  assert [line.split() for line in text.splitlines()[1:]] == [
    ['RoIs', '(64x96)', '100', '1.0000', '10.0000', '-'],
    ['RoIs', '(64x96)', '200', '2.0000', '10.0000', '1.00'],
  ]
