"""Tests of the notebook: its code and its stored outputs, and a run with few pictures."""

import ast
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import nbformat
import pytest

from tests.test_docs import public_names, resolve
from tests.test_docs_commands import known_flags

ROOT = pathlib.Path(__file__).parents[2]
PATH = ROOT / 'notebooks' / 'first_steps.ipynb'
_MAX_BYTES = 2_000_000


@pytest.fixture(scope='module', name='notebook')
def _notebook():
  return nbformat.read(PATH, as_version=4)


def code_cells(notebook):
  return [cell for cell in notebook.cells if cell.cell_type == 'code']


def parsed(source):
  """The syntax tree of a cell, without lines that are for IPython."""
  return ast.parse(re.sub(r'^%.*', '', source, flags=re.MULTILINE))


def private_uses(source, public):
  """Imports from the package that are not public, and attributes that begin with an underscore."""
  found = []
  for node in ast.walk(parsed(source)):
    if isinstance(node, ast.ImportFrom) and node.module.split('.')[0] == 'htc_tf':
      found += [f'{node.module}.{name.name}' for name in node.names]
    if isinstance(node, ast.Import):
      found += [alias.name for alias in node.names if alias.name.startswith('htc_tf.')]
    if isinstance(node, ast.Attribute):
      if getattr(node.value, 'id', None) == 'htc_tf':
        found.append(f'htc_tf.{node.attr}')
      if node.attr.startswith('_'):
        found.append(node.attr)
  return [name for name in found if name not in public]


def test_a_private_use_is_found():
  source = '%config A = 1\nimport htc_tf\nfrom htc_tf.errors import HTCError\nhtc_tf.load_model()\n'
  public = ['htc_tf.load_model', 'htc_tf.errors.HTCError']
  assert private_uses(source, public) == []
  source += 'from htc_tf.data import nuclei\nimport htc_tf.files\nhtc_tf.wrong\nmodel._members\n'
  expected = {'htc_tf.data.nuclei', 'htc_tf.files', 'htc_tf.wrong', '_members'}
  assert set(private_uses(source, public)) == expected


def test_the_code_uses_only_public_names(notebook):
  for cell in code_cells(notebook):
    assert private_uses(cell.source, public_names()) == []


def test_imports_exist(notebook):
  for cell in code_cells(notebook):
    for node in ast.walk(parsed(cell.source)):
      if isinstance(node, ast.Import):
        assert all(importlib.util.find_spec(alias.name) for alias in node.names)
      if isinstance(node, ast.ImportFrom):
        for alias in node.names:
          resolve(f'{node.module}.{alias.name}')


def test_commands_and_flags_exist(notebook):
  """Flags that belong to none of the commands of the notebook do not exist."""
  texts = [
    str(node.value)
    for cell in code_cells(notebook)
    for node in ast.walk(parsed(cell.source))
    if isinstance(node, ast.Constant)
  ]
  commands = {name for text in texts for name in re.findall(r'\bhtc-[a-z]+(?:-[a-z]+)*', text)}
  assert {'htc-create-coco-records', 'htc-train', 'htc-evaluate', 'htc-export'} <= commands
  flags = {name for text in texts for name in re.findall(r'--([a-z_]+)', text)}
  known = {flag for command in commands for flag in known_flags(command)} | {'number'}
  assert len(flags) > 8 and flags <= known


def test_links_lead_to_files(notebook):
  text = '\n'.join(cell.source for cell in notebook.cells if cell.cell_type == 'markdown')
  links = re.findall(r'\]\(([^)#\s]+)', text)
  assert len(links) > 5
  for target in links:
    assert (PATH.parent / target).exists(), target


def check_outputs(notebook, min_pictures):
  """Check that all cells ran in order without errors and warnings, and the number of pictures."""
  cells = code_cells(notebook)
  assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
  outputs = [output for cell in cells for output in cell.outputs]
  assert not [output for output in outputs if output.output_type == 'error']
  assert not [output for output in outputs if output.get('name') == 'stderr']
  assert sum('image/jpeg' in output.get('data', {}) for output in outputs) >= min_pictures


def test_the_stored_outputs_are_those_of_one_complete_run(notebook):
  check_outputs(notebook, min_pictures=9)
  assert PATH.stat().st_size < _MAX_BYTES


def test_no_path_of_a_machine_is_stored():
  assert not re.findall(r'/(?:home|root|tmp|work|Users)/[\w./-]*', PATH.read_text(encoding='utf-8'))


@pytest.mark.slow
@pytest.mark.skipif(
  not all(map(importlib.util.find_spec, ('nbclient', 'ipykernel'))),
  reason='needs requirements-notebook.txt; `make test-slow` installs it',
)
def test_all_cells_run(tmp_path):
  """With few pictures and steps, after which the model finds little or nothing."""
  values = {'NUM_PICTURES': 8, 'EPOCHS': 2, 'IMAGE_SIZE': 128, 'FOLDER': str(tmp_path / 'work')}
  sets = [f'--set={name}={value}' for name, value in values.items()]
  output = tmp_path / 'run.ipynb'
  done = subprocess.run(
    [sys.executable, '-m', 'docs_pages.notebook', str(PATH), f'--output={output}', *sets],
    cwd=ROOT,
    env={**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
  notebook = nbformat.read(output, as_version=4)
  check_outputs(notebook, min_pictures=6)  # Those of the stages need objects that were found.
  assert (tmp_path / 'work' / 'export' / '1' / 'saved_model.pb').exists()
  text = ''.join(output.get('text', '') for output in code_cells(notebook)[-1].outputs)
  assert 'as many as from the model: True' in text
