"""Tests of the times from the start of a process, with a fake process."""

import sys

import pytest

from benchmarks import measuring, run, start

# A process whose rows take longer the first time.
_SIDE = """
import time
from benchmarks.measuring import Measure, serve
def build():
  time.sleep(0.2)
  waits = iter([0.1, 0.0])
  work = Measure(lambda: time.sleep(next(waits)))
  return {'inference': work, 'training_step': work}
serve(build)
"""


@pytest.fixture(name='started')
def _started(monkeypatch):
  started = []

  def side_of(peer, group, size):
    started.append((peer.python if peer else 'ours', group, size))
    return measuring.Side([sys.executable, '-c', _SIDE])

  monkeypatch.setattr(run, 'side_of', side_of)
  return started


def test_each_run_is_a_fresh_process_and_the_sides_take_turns(started):
  shown = []
  assert start.main(['--size=64x96', '--runs=2', '--peer=other'], shown.append) == 0
  assert started == [
    (side, group, '64x96')
    for group in ('inference', 'training')
    for _ in range(2)
    for side in ('ours', 'other')
  ]
  lines = [line.split() for line in shown[-1].splitlines()]
  assert [line[:2] for line in lines[1:]] == [
    [row, side] for row in ('inference', 'training_step') for side in ('htc_tf', 'mmdet')
  ]
  for line in lines[1:]:
    ready, first, second, total = map(float, line[2:])
    assert ready >= 0.2 and first >= 0.1 and second >= 0
    assert total == pytest.approx(ready + first, abs=0.011)


def test_without_a_peer_only_htc_tf_is_measured(started):
  start.main(['--size=64x96', '--runs=1'], lambda _: None)
  assert started == [('ours', 'inference', '64x96'), ('ours', 'training', '64x96')]


def test_the_figures_are_medians():
  starts = [start.Start(1, 5, 9), start.Start(3, 4, 7), start.Start(2, 6, 8)]
  assert start.median(starts) == start.Start(2, 5, 8)


def test_a_wrong_size_is_refused_at_once(capsys):
  with pytest.raises(SystemExit):
    start.main(['--size=64'])
  assert 'multiples of 32' in capsys.readouterr().err
