"""Tests of the table and the figure of the endurance test."""

import pathlib

import pytest
from PIL import Image

from benchmarks import recorded_runs
from benchmarks.endurance import plan, report


def _memory(process, slope):
  """A jump at the first evaluation, after step 1000, and a line with a slope per 1000 steps."""
  later = [[0, process, step, 1100.0 + slope * step / 1000] for step in (1100, 1200, 1300)]
  return [[0, process, 100, 900.0], [0, process, 1000, 900.0], *later]


def _result(mask_ap, kills=(), slopes=(1.2,), faults=()):
  return {
    'steps': 3000,
    'seconds': 90.0,
    'kills': [{'at': step, 'statuses': [-9]} for step in kills],
    'box_AP': 0.5,
    'mask_AP': mask_ap,
    'memory': [row for index, slope in enumerate(slopes) for row in _memory(index, slope)],
    'slopes': list(slopes),
    'losses': [[100, 2.0], [200, 1.5]],
    'faults': list(faults),
  }


RESULTS = {
  'alone_0': _result(0.41),
  'alone_1': _result(0.44),
  'alone_2': _result(0.40),
  'workers': _result(0.43, (800, 1500, 2300), (-0.5, 2.0)),
}


def test_the_table_has_a_line_for_each_run():
  lines = report.markdown(RESULTS).splitlines()
  assert len(lines) == 2 + len(plan.RUNS) and len({line.count('|') for line in lines}) == 1
  assert lines[2] == '| one device, seed 0 | 3000 | - | 50.0 | 41.0 | 1.2 | 1.5 |'
  assert lines[5] == '| two workers, undisturbed | not run | - | - | - | - | - |'
  assert lines[6].endswith('| not run | - | - | - | - | - |')
  assert lines[7].endswith('| 3000 | 800, 1500, 2300 | 50.0 | 43.0 | -0.5, 2.0 | 1.5 |')


@pytest.mark.parametrize('value, place', [(0.43, 'within'), (0.40, 'within'), (0.45, 'outside')])
def test_the_verdict_compares_with_the_undisturbed_runs(value, place):
  (sentence,) = report.verdicts({**RESULTS, 'workers': _result(value)})
  assert f'mask AP {100 * value:.1f} is {place} the undisturbed runs, 40.0 to 44.0.' in sentence


def test_there_is_no_verdict_before_all_undisturbed_runs_and_faults_are_named():
  results = {'alone_0': _result(0.4), 'workers': _result(0.4, faults=['run.json is missing'])}
  (sentence,) = report.verdicts(results)
  assert sentence.endswith('killed: run.json is missing.')


@pytest.mark.parametrize('results', [RESULTS, {}])
def test_the_figure_is_drawn_with_what_there_is(tmp_path, results):
  report.draw(str(tmp_path / 'endurance.png'), results)
  with Image.open(tmp_path / 'endurance.png') as image:
    assert image.size == (1210, 440)


def test_a_run_without_figures_has_no_verdict():
  results = {**RESULTS, 'workers': _result(None, faults=['it is not evaluated'])}
  assert [sentence.split(': ')[1] for sentence in report.verdicts(results)] == [
    'it is not evaluated.'
  ]
  assert '| - | 1.2 |' in report.markdown(results).splitlines()[7]


def test_the_page_shows_the_recorded_runs():
  """Nobody changes the page or the file alone."""
  root = pathlib.Path(__file__).parents[3]
  path = root / 'benchmarks' / 'endurance' / 'figures.json'
  known = recorded_runs.read(str(path), {'steps': 3000})
  page = (root / 'docs' / 'reliability.md').read_text()
  assert report.markdown(known) in page
  for sentence in report.verdicts(known):
    assert f'\n- {sentence}\n' in page
