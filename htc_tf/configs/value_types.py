"""Checks of configuration values: types, positive numbers and keys."""

import dataclasses
import typing
from collections.abc import Sequence
from typing import Any

from official.modeling import hyperparams

from htc_tf.errors import ConfigError

# Type of a field to the types of the values that it accepts.
_ACCEPTED = {int: (int,), float: (int, float), bool: (bool,), str: (str,)}


def check_value_types(config: hyperparams.Config, name: str) -> None:
  """Check the types of numbers, booleans, strings and lists, also in nested configurations.

  Model Garden accepts any value for a field, e.g. a string for a number.

  Args:
    config: configuration to check.
    name: name of the configuration, for messages.

  Raises:
    ConfigError: a value has another type than its field; the message names the first one.
  """
  hints = typing.get_type_hints(type(config))
  for field in dataclasses.fields(config):
    value, path = getattr(config, field.name), f'{name}.{field.name}'
    if isinstance(value, hyperparams.Config):
      check_value_types(value, path)
    elif value is None:
      _check_optional(field, hints[field.name], path)
    else:
      _check(value, hints[field.name], path)


def _check_optional(field: dataclasses.Field, hint: Any, path: str) -> None:
  """Check that a field may be None, because of its type or because None is its default."""
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
      likely_cause='a misspelled value',
    )


def _check_list(value: Any, element: Any, path: str) -> None:
  if not isinstance(value, (list, tuple)):
    raise ConfigError(
      f'{path} is of the wrong type',
      expected='a list',
      got=repr(value),
      likely_cause='missing brackets, as in [1, 2]',
    )
  for index, entry in enumerate(value):
    if isinstance(entry, hyperparams.Config):
      check_value_types(entry, f'{path}[{index}]')
    else:
      _check(entry, element, f'{path}[{index}]')


def _fits(value: Any, hint: Any) -> bool:
  """Whether a scalar has the declared type; booleans are not numbers."""
  return isinstance(value, _ACCEPTED[hint]) and (hint is bool or not isinstance(value, bool))


def check_positive(value: float, name: str) -> None:
  """Raise ConfigError unless the value called `name` is above 0."""
  if not value > 0:
    raise ConfigError(f'{name} is out of range', expected='a positive number', got=repr(value))


def check_keys(
  entries: Sequence[hyperparams.Config], entry_type: type[hyperparams.Config], name: str
) -> None:
  """Check a list of configurations; Model Garden accepts any value for such a field.

  Args:
    entries: value of the field.
    entry_type: type of the configurations, which gives their keys.
    name: name of the field, for messages.

  Raises:
    ConfigError: the value is not a list, or an entry is not a configuration or has other keys.
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
        likely_cause='a misspelled key',
      )
