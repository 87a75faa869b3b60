"""Tests of the comparison of exports with constants and with variables, with a tiny model."""

import pytest

from benchmarks import constant_weights
from tests.serving import tiny_model


@pytest.mark.slow
def test_both_exports_are_loaded_and_find_the_same(tmp_path):
  shown = []
  model = tiny_model.write(tmp_path)
  arguments = [f'--model={model}', '--size=40x56', '--runs=1']
  assert constant_weights.main(arguments, shown.append) == 0
  assert shown[0].startswith('40x56, ')
  loading, detection = ([line.split() for line in table.splitlines()] for table in shown[1:])
  for lines, title in ((loading, 'loading'), (detection, 'detection')):
    assert [line[0] for line in lines] == [title, 'variables', 'constants']
    assert lines[1][2] == lines[1][4] == '1.00'
    assert all(float(value) > 0 for line in lines[1:] for value in line[1:5])
  assert int(loading[1][-1]) > 100 and int(loading[2][-1]) == 0
  assert detection[1][-1] == detection[2][-1] != '0'
