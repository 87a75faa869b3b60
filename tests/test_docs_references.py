"""Tests that files, names and configuration keys on the pages of docs/ exist."""

import importlib
import pathlib
import re

import pytest

from docs_pages.sections import experiment, full_names, sections

ROOT = pathlib.Path(__file__).parents[1]
_OTHER_VERSIONS = {'CHANGELOG.md'}  # It names what there was.
PAGES = [
  path
  for path in sorted([*ROOT.glob('*.md'), *(ROOT / 'docs').glob('*.md')])
  if path.name not in _OTHER_VERSIONS
]
IDS = [path.name for path in PAGES]
# A file and the names in it: `htc_tf/a.py`: `Name.method`, `other`.
_REFERENCE = re.compile(
  r'`((?:htc_tf|parity|benchmarks|docs_pages)/[\w/]+\.py)`: (`[\w.]+`(?:, `[\w.]+`)*)'
)
# A full key, maybe with a value: `task.model.cascade.stages[0].loss_weight=2`.
_KEY = re.compile(r'(?<![\w./])((?:task|trainer|runtime)\.[a-z_0-9]+(?:\.[a-z_0-9]+|\[\d*\])*)')

# Keys of the examples in docs/extending.md.
_EXAMPLES = {'task.train_data.parser.augmentation.lightness.max_delta'}


@pytest.fixture(name='known', scope='module')
def _known():
  return full_names(sections(experiment())) | _EXAMPLES


def missing_names(text):
  """The names in references of a text that do not exist."""
  missing = []
  for path, names in _REFERENCE.findall(text):
    module = importlib.import_module(path.removesuffix('.py').replace('/', '.'))
    for name in re.findall(r'`([\w.]+)`', names):
      if '/' not in name and not _has(module, name):
        missing.append(f'{path}: {name}')
  return missing


def _has(value, name):
  for part in name.split('.'):
    if not hasattr(value, part):
      return False
    value = getattr(value, part)
  return True


def unknown_keys(text, known):
  """The configuration keys in a text that no experiment has."""
  found = {re.sub(r'\[\d*\]', '[]', key) for key in _KEY.findall(text)}
  return sorted(key for key in found if key not in known and key.removesuffix('[]') not in known)


def test_wrong_references_are_found(known):
  text = '`htc_tf/errors.py`: `HTCError`, `Wrong`; `htc_tf/losses/box_loss.py`: `box_loss.wrong`'
  assert missing_names(text) == [
    'htc_tf/errors.py: Wrong',
    'htc_tf/losses/box_loss.py: box_loss.wrong',
  ]
  text = '`task.model.cascade.stages[0].loss_weight=2,task.losses.wrong=1` `trainer.train_step`'
  assert unknown_keys(text, known) == ['task.losses.wrong', 'trainer.train_step']


@pytest.mark.parametrize('path', PAGES, ids=IDS)
def test_names_in_files_exist(path):
  assert not missing_names(path.read_text(encoding='utf-8'))


@pytest.mark.parametrize('path', PAGES, ids=IDS)
def test_keys_exist(path, known):
  assert not unknown_keys(path.read_text(encoding='utf-8'), known)


def test_every_equation_figure_and_table_of_the_paper_has_a_row():
  text = (ROOT / 'docs' / 'paper_to_code.md').read_text(encoding='utf-8')
  for title, last in (('Equations', 7), ('Figures', 4), ('Tables', 7)):
    (block,) = re.findall(rf'(?s)^## {title}\n(.*?)(?=^## )', text, re.MULTILINE)
    assert {int(number) for number in re.findall(r'^\| (\d)', block, re.MULTILINE)} == set(
      range(1, last + 1)
    )
  assert len(_REFERENCE.findall(text)) > 30
