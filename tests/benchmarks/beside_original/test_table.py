"""Tests of tables and figure of the comparison."""

import pytest
from PIL import Image

from benchmarks.beside_original import jobs, recipe, table
from parity import loss_names


def result(ours, original, measured=1e-7, seed=0, choice=None):
  losses = {name: [2.0, 1.5, 1.0] for name in (loss_names.TOTAL, *loss_names.LOSSES)}
  names = [f'{kind}_{figure}' for kind in ('segm', 'bbox') for figure in ('AP', 'AP50', 'AP75')]
  values = {recipe.OURS: ours, recipe.ORIGINAL: original, jobs.HERE: original}
  return {
    'seed': seed,
    'choice': choice,
    'checks': [{'name': 'losses of step 1', 'measured': measured, 'bar': 1e-5, 'ok': True}],
    'seconds': {recipe.OURS: 3.0, recipe.ORIGINAL: 6.0},
    'losses': {recipe.OURS: losses, recipe.ORIGINAL: losses},
    'figures': {name: dict.fromkeys(names, value) for name, value in values.items()},
  }


RESULTS = [result(0.40, 0.41), result(0.44, 0.42, 3e-7, seed=1)]


def test_the_difference_stands_beside_the_larger_spread():
  lines = table.markdown(RESULTS).splitlines()
  rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
  assert rows[2][:2] == ['trained and evaluated by mmdetection 3.3.0', '41.5 (1.0)']
  assert rows[2][-2:] == ['2', '2.00']
  assert rows[3][0].endswith('evaluated here') and rows[3][-1] == ''
  assert rows[4][:2] == ['trained and evaluated here', '42.0 (4.0)'] and rows[4][-1] == '1.00'
  assert rows[5][1:3] == ['+0.5 / 4.0'] * 2
  assert '| losses of step 1 | 3.0e-07 | 1e-05 |' in lines


def test_further_choices_have_a_table_of_their_own_with_a_standard_error():
  further = [result(0.44, 0.43, choice=7), result(0.42, 0.45, choice=8)]
  lines = table.markdown([*RESULTS, *further]).splitlines()
  rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
  # The first table is that of the seeds.
  assert rows[:6] == [
    [cell.strip() for cell in line.strip('|').split('|')]
    for line in table.markdown(RESULTS).splitlines()[:6]
  ]
  begin = next(
    i for i, row in enumerate(rows) if row[0].startswith('validation, 3 trainings of seed 0')
  )
  assert rows[begin + 2] == ['mmdetection 3.3.0', *['43.0 (41.0, 43.0, 45.0)'] * 2]
  assert rows[begin + 3] == ['htc_tf', *['42.0 (40.0, 42.0, 44.0)'] * 2]
  # Both deviations are 2: sqrt(4 / 3 + 4 / 3).
  assert rows[begin + 4][1:] == ['-1.0 ± 1.6'] * 2


def test_one_seed_has_no_difference():
  assert 'spread' not in table.markdown(RESULTS[:1])


@pytest.mark.parametrize('num_seeds', [1, 2])
def test_the_figure_has_a_curve_for_each_side(tmp_path, num_seeds):
  path = tmp_path / 'curves.png'
  table.draw(str(path), RESULTS[:num_seeds])
  with Image.open(path) as picture:
    assert picture.width > 800
    assert len(picture.convert('RGB').getcolors(1 << 24)) > 10
