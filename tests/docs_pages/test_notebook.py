"""Tests of running a notebook."""

import nbformat
import pytest

from docs_pages import notebook as notebook_lib
from htc_tf.errors import InputError


def _notebook(source='EPOCHS = 16  # Passes.\nFOLDER = "build"\nprint(EPOCHS)'):
  cell = nbformat.v4.new_code_cell(source, metadata={'tags': ['parameters']})
  return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell('EPOCHS = 3'), cell])


def test_parameters_are_replaced_in_their_cell_alone():
  notebook = _notebook()
  changed = notebook_lib.with_parameters(notebook, {'EPOCHS': 1, 'FOLDER': r'a\1'})
  assert changed.cells[0].source == 'EPOCHS = 3'
  assert changed.cells[1].source == "EPOCHS = 1\nFOLDER = 'a\\\\1'\nprint(EPOCHS)"
  assert notebook == {**_notebook(), 'cells': notebook.cells}
  assert notebook.cells[1].source.startswith('EPOCHS = 16')


def test_without_values_nothing_changes():
  notebook = _notebook()
  assert notebook_lib.with_parameters(notebook, {}) == notebook


@pytest.mark.parametrize('name', ['EPOCH', 'EPOCHS ', 'print', ''])
def test_an_unknown_parameter_is_refused(name):
  with pytest.raises(InputError, match='EPOCHS or FOLDER'):
    notebook_lib.with_parameters(_notebook(), {name: 1})


def test_the_command_refuses_an_unknown_parameter(tmp_path, capsys):
  path = tmp_path / 'a.ipynb'
  nbformat.write(_notebook(), path)
  before = path.read_bytes()
  assert notebook_lib.main([str(path), '--set=EPOCH=1']) == 2
  assert 'EPOCHS or FOLDER' in capsys.readouterr().err
  assert path.read_bytes() == before
