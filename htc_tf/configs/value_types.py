"""Holds the values of a configuration against the types and ranges of its fields."""

import dataclasses
import typing
from collections.abc import Sequence
from typing import Any

from official.modeling import hyperparams

from htc_tf.errors import ConfigError

# What a field of a type takes besides its own type.
_ACCEPTED = {int: (int,), float: (int, float), bool: (bool,), str: (str,)}


def check_value_types(config: hyperparams.Config, name: str) -> None:
  """Checks numbers, flags, strings and lists of them, in nested configurations too.

  Model Garden takes any value for a field, e.g. a word for a number.

  Args:
    config: a dataclass.
    name: where it stands, for the message.

  Raises:
    ConfigError: for the first value of another type.
  """
  hints = typing.get_type_hints(type(config))
  for field in dataclasses.fields(config):
    value, path = getattr(config, field.name), f'{name}.{field.name}'
    if isinstance(value, hyperparams.Config):
      check_value_types(value, path)
    elif value is None:
      _check_may_be_empty(field, hints[field.name], path)
    else:
      _check(value, hints[field.name], path)


def _check_may_be_empty(field: dataclasses.Field, hint: Any, path: str) -> None:
  """Model Garden gives some fields no value by default without saying so in their type."""
  if field.default is not None and (hint in _ACCEPTED or typing.get_origin(hint) is list):
    raise ConfigError(
      f'{path} has no value',
      expected=getattr(hint, '__name__', str(hint)),
      got='null',
      likely_cause='a key without a value in a YAML file',
    )


def _check(value: Any, hint: Any, path: str) -> None:
  origin, arguments = typing.get_origin(hint), typing.get_args(hint)
  if origin is list:
    _check_list(value, arguments[0], path)
  elif hint in _ACCEPTED and not _fits(value, hint):
    raise ConfigError(
      f'{path} is of the wrong type',
      expected=hint.__name__,
      got=repr(value),
      likely_cause='a misspelt value',
    )


def _check_list(value: Any, element: Any, path: str) -> None:
  if not isinstance(value, (list, tuple)):
    raise ConfigError(
      f'{path} is of the wrong type',
      expected='a list',
      got=repr(value),
      likely_cause='brackets left out, as in [1, 2]',
    )
  for index, entry in enumerate(value):
    if isinstance(entry, hyperparams.Config):
      check_value_types(entry, f'{path}[{index}]')
    else:
      _check(entry, element, f'{path}[{index}]')


def _fits(value: Any, hint: Any) -> bool:
  """Whether a scalar has the declared type; True is no number."""
  return isinstance(value, _ACCEPTED[hint]) and (hint is bool or not isinstance(value, bool))


def check_positive(value: float, name: str) -> None:
  """Raises ConfigError unless the value called `name` is more than 0."""
  if not value > 0:
    raise ConfigError(f'{name} is out of range', expected='a positive number', got=repr(value))


def check_keys(
  entries: Sequence[hyperparams.Config], entry_type: type[hyperparams.Config], name: str
) -> None:
  """Checks a list of configurations, in whose place Model Garden accepts anything.

  Args:
    entries: what stands there.
    entry_type: what they should be, with no other keys.
    name: where they stand, for the message.

  Raises:
    ConfigError: for the first thing of another kind.
  """
  if not isinstance(entries, (list, tuple)):
    raise ConfigError(f'{name} is of the wrong type', expected='a list', got=repr(entries))
  known = {field.name for field in dataclasses.fields(entry_type)}
  for index, entry in enumerate(entries):
    if not isinstance(entry, hyperparams.Config):
      raise ConfigError(
        f'{name}[{index}] is of the wrong type',
        expected=f'keys of {sorted(known)}',
        got=repr(entry),
      )
    unknown = sorted(set(entry.as_dict()) - known)
    if unknown:
      raise ConfigError(
        f'{name}[{index}] has unknown keys',
        expected=f'keys of {sorted(known)}',
        got=str(unknown),
        likely_cause='a misspelt key',
      )
