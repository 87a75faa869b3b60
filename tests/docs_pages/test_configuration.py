"""Tests of the page of all keys of the configuration."""

import dataclasses
import pathlib
import re

import pytest
from official.core import config_definitions as cfg
from official.core import input_reader

from docs_pages import notes
from docs_pages.__main__ import DOCS, PAGES
from docs_pages.configuration import page
from docs_pages.sections import experiment, full_names, sections
from htc_tf.configs import validation
from htc_tf.errors import ConfigError

_ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(name='found', scope='module')
def _found():
  return list(sections(experiment()))


@pytest.mark.parametrize('name', sorted(PAGES))
def test_a_committed_page_is_what_the_command_writes(name):
  written = (DOCS / name).read_text(encoding='utf-8')
  assert written == PAGES[name](), 'run `python -m docs_pages`'


def test_a_row_has_type_default_range_and_meaning():
  rows = page().splitlines()
  assert (
    '| `positive_fraction` | float | `0.25` | a number in 0..1 | largest share of positives among '
    'the sampled RoIs. |' in rows
  )
  assert any(
    row.startswith('| `nms` | str | `hard` | `hard`, `linear`, `gaussian` |') for row in rows
  )
  assert any(
    row.startswith('| `train_steps` | int | `0`; 1x: `87960` | 0 or more |') for row in rows
  )


def test_every_key_that_can_be_set_has_a_row(found):
  text, names = page(), full_names(found)
  for name in _leaves(experiment().as_dict()):
    assert name in names, name
  for section in found:
    if section.keys and not section.path.startswith('task.validation_data.'):
      title = re.escape(section.path)
      (block,) = re.findall(rf'(?s)^## {title}(?: \(Model Garden\))?\n(.*?)(?=^## |\Z)', text, re.M)
      for key in section.keys:
        assert f'| `{key.name}` |' in block, (section.path, key.name)


def _leaves(tree, path=''):
  for key, value in tree.items():
    name = f'{path}.{key}'.lstrip('.')
    if isinstance(value, dict):
      yield from _leaves(value, name)
    else:
      yield name


def test_every_key_of_this_package_has_a_meaning(found):
  for section in found:
    for key in section.keys:
      if key.owner.__module__.startswith('htc_tf') and key.name != 'type':
        assert key.meaning, (section.path, key.name)


def test_the_keys_of_model_garden_that_every_experiment_has_are_explained():
  for config_class in (cfg.TaskConfig, cfg.DataConfig, cfg.TrainerConfig, cfg.RuntimeConfig):
    own = {name for section in sections(experiment()) for name in _own_fields(section)}
    for name in _names(config_class):
      assert name in own or notes.note_of(config_class, name) or name in _SECTIONS, name


# Fields of Model Garden whose values are sections of this package.
_SECTIONS = {'model', 'train_data', 'validation_data', 'optimizer_config'}


def _names(config_class):
  return [field.name for field in dataclasses.fields(config_class)]


def _own_fields(section):
  return [key.name for key in section.keys if key.meaning]


def test_notes_are_about_fields_that_exist():
  for config_class, texts in notes.NOTES.items():
    known = {
      name for each in [config_class, *config_class.__subclasses__()] for name in _names(each)
    }
    assert set(texts) <= known, config_class


def test_a_key_without_effect_is_not_read_by_the_package():
  source = '\n'.join(path.read_text(encoding='utf-8') for path in (_ROOT / 'htc_tf').rglob('*.py'))
  ignored = [
    name
    for texts in notes.NOTES.values()
    for name, note in texts.items()
    if note.startswith(notes.IGNORED)
  ]
  assert len(ignored) > 10
  for name in ignored:
    reads = re.findall(rf'\.{name}\b(?! = False)', source)
    assert not reads, name


def test_keys_that_are_called_refused_are_refused():
  with pytest.raises(ConfigError, match='TPUs and parameter servers are not supported'):
    validation.validate_runtime(cfg.RuntimeConfig(tpu='local'))
  with pytest.raises(ValueError, match='input_path'):
    input_reader.InputReader(cfg.DataConfig(input_path='a', tfds_name='b', tfds_split='train'))
