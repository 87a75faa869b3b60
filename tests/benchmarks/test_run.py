"""Tests of the benchmark command: a small run without a peer, one with a fake peer, the file."""

import json
import math
import re
import sys

import pytest

from benchmarks import measuring, run, table

# Program of a fake side: its row `work` processes four items, takes some time, and prints text.
_SIDE = """
import sys, time
from benchmarks.measuring import Measure, serve
def build():
  print('built', sys.argv[1:])
  return {'work': Measure(lambda: (print('working'), time.sleep(0.02)), 4, 1.5)}
serve(build)
"""


def _side(*_, **__):
  return measuring.Side([sys.executable, '-c', _SIDE])


def test_without_a_peer_its_figures_are_none(tmp_path):
  output = tmp_path / 'build' / 'bench.json'
  rows = run.measure(['convolution'], ['64x96'], 2, output=output)
  assert json.loads(output.read_text()) == rows
  assert [path.name for path in output.parent.iterdir()] == ['bench.json']
  (row,) = rows
  assert {'name', 'size', 'seconds', 'peer', 'peer_seconds', 'ratio', 'gmac', 'peak_bytes'} < set(
    row
  )
  assert row['name'] == 'convolution' and row['size'] == '64x96' and row['runs'] == 2
  assert 0 < row['seconds'] < 600 and row['cpu_seconds'] > 0
  assert row['peak_bytes'] > 10e6
  assert row['peer'] is None and row['peer_seconds'] is None and row['ratio'] is None
  assert row['gmac'] == pytest.approx(16 * 24 * 256 * 256 * 9 / 1e9)
  assert row['share'] == 1
  assert run.report(rows).count('\n') == 1


def test_a_side_measures_per_item_and_its_prints_are_discarded():
  with _side() as side:
    assert side.gmac == {'work': 1.5}
    figures = side.measure('work')
  assert 0.005 <= figures['seconds'] < 60
  assert set(figures) == {'seconds', 'cpu_seconds', 'peak_bytes'}


def test_a_process_that_ends_early_is_an_error():
  with pytest.raises(RuntimeError, match='exit status 3'):
    measuring.Side([sys.executable, '-c', 'raise SystemExit(3)'])


def test_the_runs_of_both_sides_alternate(monkeypatch):
  calls = []

  class Recorded(measuring.Side):
    def measure(self, row):
      calls.append(self.name)
      return super().measure(row)

  def side(peer, *_):
    recorded = Recorded([sys.executable, '-c', _SIDE])
    recorded.name = 'peer' if peer else 'ours'
    return recorded

  monkeypatch.setattr(run, 'side_of', side)
  monkeypatch.setitem(run.ROWS, 'convolution', ('work',))
  (row,) = run.measure(['convolution'], ['64x96'], 2, peer=run.Peer('python'))
  assert calls == ['ours', 'peer'] * 3
  assert row['peer'] == 'mmdet' and row['runs'] == 2
  assert row['ratio'] == row['seconds'] / row['peer_seconds']


def test_cost_by_amount_has_a_separate_table():
  rows = [
    table.make_row(
      name, '64x96', [{'seconds': 1.0, 'cpu_seconds': 1.0, 'peak_bytes': 1}], [], None, None
    )
    for name in ('nms', 'RoIs:100', 'RoIs:200')
  ]
  table.add_shares(rows)
  figures, costs = run.report(rows).split('\n\n')
  assert 'nms' in figures and 'RoIs' not in figures
  assert [line.split()[2] for line in costs.splitlines()[1:]] == ['100', '200']


@pytest.mark.parametrize(
  'rows, sizes, message',
  [
    ('backbones', '64x96', 'got backbones'),
    ('fpn', '64x100', 'multiples of 32'),
    ('fpn', '64', 'multiples of 32.*got 64'),
  ],
)
def test_unknown_rows_and_wrong_sizes_are_refused_at_once(capsys, rows, sizes, message):
  with pytest.raises(SystemExit):
    run.main([f'--rows={rows}', f'--sizes={sizes}'])
  assert re.search(message, capsys.readouterr().err)


def test_figures_that_are_not_finite_are_not_written(tmp_path):
  with pytest.raises(ValueError, match='JSON compliant'):
    run.write(tmp_path / 'bench.json', [{'seconds': math.nan}])
  assert not list(tmp_path.iterdir())
