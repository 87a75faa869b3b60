"""Checks of configuration values: types, ranges and keys.

Model Garden accepts any value for a field, e.g. a string for a number.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from official.modeling import hyperparams

from htc_tf.configs.bounds import Bounds, OneOf
from htc_tf.configs.model_garden_bounds import bound_of
from htc_tf.errors import ConfigError

# Type of a field to the types of the values that it accepts.
_ACCEPTED = {int: (int,), float: (int, float), bool: (bool,), str: (str,)}


class _Rule(NamedTuple):
  """What the values of a field must be.

  Attributes:
    declared: type of the field.
    hint: the type without a range, and without None.
    bound: range of the values, or of the elements of a list.
  """

  declared: Any
  hint: Any
  bound: Bounds | OneOf | None


def check_values(config: hyperparams.Config, name: str) -> None:
  """Check types and ranges of all values, also in nested configurations.

  In a `OneOfConfig`, only the selected part is checked.

  Args:
    config: configuration to check.
    name: name of the configuration, for messages.

  Raises:
    ConfigError: a value has another type than its field, or is out of range; the message names the
      first one.
  """
  rules = _rules(type(config))
  for field in _checked_fields(config, name):
    value, path = getattr(config, field.name), f'{name}.{field.name}'
    declared, hint, bound = rules[field.name]
    if isinstance(value, hyperparams.Config) and _may_be_section(declared):
      check_values(value, path)
    elif value is None:
      _check_optional(field, hint, path)
    else:
      _check(value, hint, bound, path)


def declared_bounds(config_class: type[hyperparams.Config]) -> dict[str, Bounds | OneOf]:
  """The ranges of the fields of a class that have one, of list fields those of the elements."""
  return {name: rule.bound for name, rule in _rules(config_class).items() if rule.bound is not None}


def _rules(config_class: type[hyperparams.Config]) -> dict[str, _Rule]:
  hints = typing.get_type_hints(config_class, include_extras=True)
  rules = {}
  for field in dataclasses.fields(config_class):
    hint, bound = _split(hints[field.name])
    if typing.get_origin(hint) is list:
      bound = _split(typing.get_args(hint)[0])[1]
    bound = bound or bound_of(config_class, field.name)
    rules[field.name] = _Rule(hints[field.name], hint, bound)
  return rules


def _checked_fields(config: hyperparams.Config, name: str) -> Iterator[dataclasses.Field]:
  """The fields that have an effect: all of them, or of a choice the chosen one."""
  fields = dataclasses.fields(config)
  if not isinstance(config, hyperparams.OneOfConfig):
    yield from fields
    return
  known = sorted(field.name for field in fields if field.name != 'type')
  default = next(field.default for field in fields if field.name == 'type')
  if config.type not in (known if default else [None, *known]):
    raise ConfigError(
      f'{name}.type is unknown',
      expected=f'one of {known}',
      got=repr(config.type),
      likely_cause='a misspelled value',
    )
  yield from (field for field in fields if field.name == config.type)


def _may_be_section(hint: Any) -> bool:
  """Whether a field holds a nested configuration; `Any` may be one."""
  options = (hint, *typing.get_args(hint))
  return Any in options or any(
    isinstance(option, type) and issubclass(option, hyperparams.Config) for option in options
  )


def _split(hint: Any) -> tuple[Any, Bounds | OneOf | None]:
  """The plain type of a field, and the range that `Annotated` adds to it."""
  if typing.get_origin(hint) in (typing.Union, types.UnionType):
    options = [option for option in typing.get_args(hint) if option is not type(None)]
    if len(options) == 1:
      return _split(options[0])
  if typing.get_origin(hint) is typing.Annotated:
    plain, bound = typing.get_args(hint)[:2]
    return plain, bound
  return hint, None


def _check_optional(field: dataclasses.Field, hint: Any, path: str) -> None:
  """Check that a field may be None, because of its type or because None is its default."""
  if field.default is not None and (hint in _ACCEPTED or typing.get_origin(hint) is list):
    raise ConfigError(
      f'{path} has no value',
      expected=getattr(hint, '__name__', str(hint)),
      got='null',
      likely_cause='a key without a value in a YAML file',
    )


def _check(value: Any, hint: Any, bound: Bounds | OneOf | None, path: str) -> None:
  if typing.get_origin(hint) is list:
    _check_list(value, typing.get_args(hint)[0], bound, path)
  elif _is_simple_union(hint):
    _check_union(value, typing.get_args(hint), path)
  elif hint in _ACCEPTED:
    if not _fits(value, hint):
      raise ConfigError(
        f'{path} is of the wrong type',
        expected=hint.__name__,
        got=repr(value),
        likely_cause=_cause_of_type(value, hint),
      )
    _check_range(value, bound, path)


def _is_simple_union(hint: Any) -> bool:
  """Whether a type is a union of scalars and lists of scalars, such as `str | list[str]`."""
  if typing.get_origin(hint) not in (typing.Union, types.UnionType):
    return False
  options = [option for option in typing.get_args(hint) if option is not type(None)]
  return all(option in _ACCEPTED or typing.get_origin(option) is list for option in options)


def _check_union(value: Any, options: Sequence[Any], path: str) -> None:
  for option in options:
    if option in _ACCEPTED and _fits(value, option):
      return
    if typing.get_origin(option) is list and isinstance(value, (list, tuple)):
      _check_list(value, typing.get_args(option)[0], None, path)
      return
  raise ConfigError(
    f'{path} is of the wrong type',
    expected=' or '.join(getattr(option, '__name__', str(option)) for option in options),
    got=repr(value),
    likely_cause='a name that YAML reads as a number or a boolean: put it in quotes',
  )


def _check_list(value: Any, element: Any, bound: Bounds | OneOf | None, path: str) -> None:
  if not isinstance(value, (list, tuple)):
    raise ConfigError(
      f'{path} is of the wrong type',
      expected='a list',
      got=repr(value),
      likely_cause='missing brackets, as in [1, 2]',
    )
  hint = _split(element)[0]
  for index, entry in enumerate(value):
    if isinstance(entry, hyperparams.Config):
      check_values(entry, f'{path}[{index}]')
    else:
      _check(entry, hint, bound, f'{path}[{index}]')


def _fits(value: Any, hint: Any) -> bool:
  """Whether a scalar has the declared type; booleans are not numbers."""
  return isinstance(value, _ACCEPTED[hint]) and (hint is bool or not isinstance(value, bool))


def _cause_of_type(value: Any, hint: Any) -> str:
  if hint is str:
    return 'a name that YAML reads as a number or a boolean: put it in quotes'
  if isinstance(value, str) and hint is bool:
    return 'quotes around the value: true and false stand without them'
  return 'a misspelled value'


def _check_range(value: Any, bound: Bounds | OneOf | None, path: str) -> None:
  if isinstance(bound, OneOf):
    if value not in bound.values:
      raise ConfigError(
        f'{path} is unknown',
        expected=f'one of {list(bound.values)}',
        got=repr(value),
        likely_cause='a misspelled value',
      )
    return
  if isinstance(value, float) and not math.isfinite(value):
    bound = bound or Bounds()
  if bound is not None and not bound.hold(value):
    raise ConfigError(
      f'{path} is out of range',
      expected=str(bound),
      got=repr(value),
      likely_cause=bound.likely_cause,
    )


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
