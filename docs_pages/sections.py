"""The sections of an experiment's configuration, with what their classes say about each key."""

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterator
from typing import Any, NamedTuple

from official.core import config_definitions as cfg
from official.modeling import hyperparams

from htc_tf.configs import task as task_config
from htc_tf.configs.bounds import Bounds, OneOf
from htc_tf.configs.trainer import TrainerConfig
from htc_tf.configs.value_types import declared_bounds

_OWN_PACKAGE = 'htc_tf'


class Key(NamedTuple):
  """A key of a section that holds a value or a list.

  Attributes:
    name: name of the field.
    kind: its type in words.
    default: its value in a new configuration.
    bounds: its range in words; '' if every value of the type is accepted.
    meaning: what the docstring of a class of this package says; '' for fields of Model Garden.
    owner: the class that declares the field.
  """

  name: str
  kind: str
  default: Any
  bounds: str
  meaning: str
  owner: type[hyperparams.Config]


class Section(NamedTuple):
  """A section of the configuration.

  Attributes:
    path: its full name, such as `task.model.cascade`; `[]` marks the entries of a list.
    config_class: its class.
    keys: its keys that are not sections themselves.
    is_choice: whether `type` selects one of its subsections.
  """

  path: str
  config_class: type[hyperparams.Config]
  keys: list[Key]
  is_choice: bool

  @property
  def is_own(self) -> bool:
    """Whether the class is one of this package, not of Model Garden."""
    return self.config_class.__module__.startswith(_OWN_PACKAGE)


def experiment() -> cfg.ExperimentConfig:
  """A new experiment with the defaults of the classes."""
  return cfg.ExperimentConfig(
    task=task_config.HTCTask(), trainer=TrainerConfig(), runtime=cfg.RuntimeConfig()
  )


def sections(config: hyperparams.Config, path: str = '') -> Iterator[Section]:
  """The sections of a configuration, each before those inside it.

  Args:
    config: the configuration.
    path: its full name.
  """
  hints = typing.get_type_hints(type(config))
  keys, inner = [], []
  bounds = declared_bounds(type(config))
  for field in dataclasses.fields(config):
    value, name = getattr(config, field.name), f'{path}.{field.name}'.lstrip('.')
    hint, entry = hints[field.name], _section_class(hints[field.name])
    if isinstance(value, hyperparams.Config):
      inner.append((name, value))
      continue
    if entry is not None:
      suffix = '[]' if isinstance(value, (list, tuple)) else ''
      inner.append((name + suffix, entry()))
    owner = _owner(type(config), field.name)
    meaning = _attributes(owner).get(field.name, '')
    kind = _type_text(hint)
    keys.append(
      Key(field.name, kind, value, _bounds_text(bounds.get(field.name), kind), meaning, owner)
    )
  yield Section(path, type(config), keys, isinstance(config, hyperparams.OneOfConfig))
  for name, value in inner:
    yield from sections(value, name)


def full_names(found: typing.Iterable[Section]) -> set[str]:
  """The full names of all sections and keys; entries of lists have no number."""
  names = set()
  for section in found:
    names.add(section.path)
    names.update(f'{section.path}.{key.name}'.lstrip('.') for key in section.keys)
  return names


def _section_class(hint: Any) -> type[hyperparams.Config] | None:
  """The class of the sections in a list, or of an optional section."""
  for option in (hint, *typing.get_args(hint)):
    if isinstance(option, type) and issubclass(option, hyperparams.Config):
      return option if option is not hyperparams.Config else None
  return None


def _owner(config_class: type, name: str) -> type:
  """The class whose docstring describes a field: the nearest one that declares or describes it."""
  for base in config_class.__mro__:
    if name in inspect.get_annotations(base):
      return base
  return config_class


def _attributes(config_class: type) -> dict[str, str]:
  """The lines under `Attributes:` in the docstring of a class of this package."""
  if not config_class.__module__.startswith(_OWN_PACKAGE):
    return {}
  text = (config_class.__doc__ or '').partition('Attributes:\n')[2]
  entries = re.findall(r'^ {4}(\w+): (.*(?:\n {6}.*)*)', text, re.MULTILINE)
  return {name: re.sub(r'\s+', ' ', meaning).strip() for name, meaning in entries}


def _type_text(hint: Any) -> str:
  origin, options = typing.get_origin(hint), typing.get_args(hint)
  if origin in (typing.Union, types.UnionType):
    names = [_type_text(option) for option in options if option is not type(None)]
    if type(None) in options:
      names.append('null')
    return ' or '.join(names)
  if origin is tuple:
    return f'list of {len(options)} {_type_text(options[0])}'
  if options:
    return f'list of {_type_text(options[0])}'
  if isinstance(hint, type) and issubclass(hint, hyperparams.Config):
    return 'section'
  return getattr(hint, '__name__', str(hint))


def _bounds_text(bound: Bounds | OneOf | None, kind: str) -> str:
  if bound is None:
    return ''
  if isinstance(bound, OneOf):
    text = ', '.join(f'`{value}`' if value != '' else '`""`' for value in bound.values)
  else:
    text = str(bound)
  return f'each: {text}' if kind.startswith('list') else text
