"""Tests that the table of docs/families.md has the families and says something of each cell."""

import pathlib

from tests import families

PAGE = pathlib.Path(__file__).parents[1] / 'docs' / 'families.md'


def test_the_table_has_every_family_and_an_answer_in_each_cell():
  lines = PAGE.read_text(encoding='utf-8').splitlines()
  header, _, *rows = [
    [cell.strip() for cell in line.split('|')[1:-1]] for line in lines if '|' in line
  ]
  assert [row[0] for row in rows] == list(families.FAMILIES)
  for row in rows:
    assert len(row) == len(header)
    for cell in row[1:]:
      assert cell == 'yes' or cell.startswith('no: '), cell


def test_the_experiments_of_the_families_exist():
  for name in families.FAMILIES.values():
    assert families.params_of(name).task.model.num_classes == 3
