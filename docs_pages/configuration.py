"""The page of all keys of the configuration, docs/configuration.md."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from official.core import exp_factory
from official.modeling import hyperparams

from docs_pages import notes
from docs_pages.sections import Key, Section, experiment, sections
from htc_tf import registry_imports  # noqa: F401

REFERENCE = 'htc_resnet50fpn_1x_coco'
_VALIDATION = 'task.validation_data'
_TRAINING = 'task.train_data'
_INTRODUCTION = f"""# Configuration

Every key of an experiment with its type, default, range and meaning. `python -m docs_pages`
(`make docs`) writes this page from the dataclasses in `htc_tf/configs/`; a test checks that it is
up to date.

A key is set by `--params_override=KEY=VALUE,KEY=VALUE`, by a YAML file for `--config_file`, or by
a shorthand of `htc-train` (`--data`, `--size`, `--epochs`, `--weights`, `--batch_size`,
`--image_size`), which stands for many keys: the run prints them at its start and saves the result
as `params.yaml`. `KEY=null` removes a value, and `stages[0].loss_weight=2` changes one entry of a
list. An unknown key, a wrong type and a value out of range are errors before anything is built.
Further checks, between keys, are in `htc_tf/configs/*_validation.py`.

The default is that of the class. Where the experiment `{REFERENCE}` has another value, it follows
after "1x:". The other experiments and the files in `experiments/` change what their names say.

- **Model Garden's keys.** Sections named "(Model Garden)" are classes of Model Garden, and some
  keys in the other sections are declared by Model Garden too. Their meaning here is what they do
  in this package; where it is empty, see Model Garden. "{notes.IGNORED.strip('*')}" and
  "{notes.REFUSED.strip('*')}" mark the keys that this package does not use.
- **Choices.** `type` selects one of the sections below it; only the chosen one is read and
  checked. Of Model Garden's backbones, `resnet`, `mobilenet`, `efficientnet` and `spinenet` have
  tests here, and of its decoders `fpn` and `identity`.
"""


def page() -> str:
  """The text of the page."""
  found = list(sections(experiment()))
  reference = exp_factory.get_exp_config(REFERENCE)
  own: list[Section] = []
  garden: list[Section] = []
  for section in found:
    if section.path.startswith(f'{_VALIDATION}.') or not (section.keys or section.is_own):
      continue
    (own if section.is_own or section.path == 'runtime' else garden).append(section)
  parts = [_INTRODUCTION, '## Contents\n', _contents(own, garden)]
  parts += [_section(section, reference) for section in own]
  parts.append("## Parts of Model Garden\n\nSections of Model Garden's own classes.\n")
  parts += [_section(section, reference) for section in garden]
  return '\n'.join(parts)


def _contents(own: Iterable[Section], garden: Iterable[Section]) -> str:
  lines = [f'- [{section.path}](#{_anchor(section)})' for section in own]
  lines.append('- [Parts of Model Garden](#parts-of-model-garden)')
  lines += [f'    - [{section.path}](#{_anchor(section)})' for section in garden]
  return '\n'.join(lines) + '\n'


def _anchor(section: Section) -> str:
  """The anchor of the heading, as GitHub and the site make it."""
  kept = [char for char in _title(section).lower() if char.isalnum() or char in ' _-']
  return ''.join(kept).replace(' ', '-')


def _title(section: Section) -> str:
  return section.path if section.is_own else f'{section.path} (Model Garden)'


def _section(section: Section, reference: hyperparams.Config) -> str:
  lines = [f'## {_title(section)}', '']
  summary = _summary(section.config_class)
  if summary:
    lines += [summary, '']
  if section.path == _VALIDATION:
    lines += [
      f'The sections inside it are those of [{_TRAINING}](#{_TRAINING.replace(".", "")}).',
      '',
    ]
  if section.keys:
    lines += ['| key | type | default | range | meaning |', '|---|---|---|---|---|']
  values = _values(reference, section.path)
  lines += [_row(section, key, values) for key in section.keys]
  return '\n'.join(lines) + '\n'


def _row(section: Section, key: Key, values: Any) -> str:
  meaning = key.meaning or notes.note_of(key.owner, key.name)
  meaning = meaning or notes.note_of(section.config_class, key.name)
  if key.name == 'type' and section.is_choice:
    names = [field.name for field in dataclasses.fields(section.config_class)]
    choices = [name for name in names if name != 'type']
    meaning = 'one of ' + ', '.join(f'`{name}`' for name in choices)
  default = _literal(key.default)
  other = getattr(values, key.name, key.default)
  if other != key.default:
    default += f'; 1x: {_literal(other)}'
  cells = [f'`{key.name}`', key.kind, default, key.bounds, meaning]
  return '| ' + ' | '.join(cell.replace('|', '\\|') for cell in cells) + ' |'


def _literal(value: Any) -> str:
  """A value as YAML has it; the entries of a list of sections are shown in their own section."""
  if isinstance(value, (list, tuple)) and any(isinstance(v, hyperparams.Config) for v in value):
    return f'{len(value)} entries'
  return f'`{_yaml(value)}`'


def _yaml(value: Any) -> str:
  if isinstance(value, (list, tuple)):
    return '[' + ', '.join(map(_yaml, value)) + ']'
  if value is None:
    return 'null'
  if isinstance(value, bool):
    return str(value).lower()
  if isinstance(value, float):
    return f'{value:.6g}'
  return '""' if value == '' else str(value)


def _values(config: Any, path: str) -> Any:
  """The section of a configuration with a path; None if it has none, such as an entry of a list."""
  for name in path.split('.') if path else ():
    config = getattr(config, name, None)
  return config


def _summary(config_class: type) -> str:
  """The first paragraphs of the docstring of a class of this package."""
  if not config_class.__module__.startswith('htc_tf'):
    return f'Class `{config_class.__module__}.{config_class.__name__}`.'
  text = (config_class.__doc__ or '').partition('Attributes:')[0]
  return '\n'.join(_lines(text))


def _lines(text: str) -> Sequence[str]:
  return [line.strip() for line in text.strip().splitlines()]
