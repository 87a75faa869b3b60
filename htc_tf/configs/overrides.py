"""Application of overrides to a configuration, after a check of all keys.

Model Garden's function accepts misspelled keys in a list of sections.
"""

import dataclasses
import difflib
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from official.modeling import hyperparams

from htc_tf.configs.override_text import Entries
from htc_tf.errors import ConfigError

_MAX_LISTED = 12
_LARGEST_EXACT = 2**53


def leaves(overrides: Mapping[Any, Any], prefix: str = '') -> Iterator[str]:
  """Full names of the keys that overrides set, e.g. `trainer.train_steps`."""
  for key, value in overrides.items():
    name = f'{prefix}.{key}' if prefix else str(key)
    if isinstance(value, Mapping) and value and not isinstance(value, Entries):
      yield from leaves(value, name)
    else:
      yield name


def apply(config: hyperparams.Config, overrides: Mapping[str, Any]) -> None:
  """Change a configuration.

  Args:
    config: the configuration; it is unchanged if the overrides do not fit.
    overrides: nested dictionaries of `override_text`.

  Raises:
    ConfigError: a key does not exist; the message names the nearest one. Or a section has no keys.
  """
  resolved = _resolve(config, overrides, '', config)
  before = config.as_dict()
  try:
    _clear_section_lists(config, resolved)
    config.override(resolved, is_strict=True)
  except (TypeError, ValueError, AttributeError, LookupError) as error:
    config.override(before)
    raise ConfigError(
      'The configuration cannot be changed',
      expected='numbers, booleans, strings, or flat lists of one kind',
      got=str(error),
      likely_cause='a list in a list, or a mapping in the place of a value',
    ) from error


def _clear_section_lists(config: hyperparams.Config, resolved: Mapping[str, Any]) -> None:
  """Empty the lists of sections that are replaced; Model Garden warns about others' lengths."""
  for key, value in resolved.items():
    if isinstance(value, Mapping):
      if isinstance(getattr(config, key), hyperparams.Config):
        _clear_section_lists(getattr(config, key), value)
    elif isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
      setattr(config, key, [])


def _resolve(
  config: hyperparams.Config, overrides: Mapping[str, Any], path: str, root: hyperparams.Config
) -> dict[str, Any]:
  """Overrides with complete lists, after a check of all keys."""
  hints = typing.get_type_hints(type(config))
  resolved: dict[str, Any] = {}
  for key, value in overrides.items():
    name = f'{path}.{key}' if path else str(key)
    if key not in _keys(config):
      raise _unknown_key(name, _keys(config), path, root)
    current = getattr(config, key)
    section = _section_class(hints.get(key)) if current is None else None
    if section is not None and value is not None:
      current = section()
    if isinstance(current, hyperparams.Config):
      resolved[key] = _resolve(current, _checked_section(value, name, current), name, root)
    elif isinstance(value, Entries):
      resolved[key] = _resolve_entries(current, value, name, root)
    elif isinstance(value, Mapping) and _section_class(hints.get(key)) is None:
      raise ConfigError(
        f'{name} is a value',
        expected='no keys below it',
        got=repr(dict(value)),
        likely_cause='an indentation in YAML that is too deep',
      )
    else:
      _check_list_entries(hints.get(key), value, name, root)
      resolved[key] = _with_floats(value, hints.get(key))
  return resolved


def _with_floats(value: Any, hint: Any) -> Any:
  """The value with floats in the place of integers where the field has floats.

  TensorFlow would make a schedule of integers of [1, 0.1].
  """
  options = (hint, *typing.get_args(hint))
  if isinstance(value, int) and not isinstance(value, bool) and float in options:
    return float(value) if abs(value) < _LARGEST_EXACT else value
  for option in options:
    if typing.get_origin(option) is list and isinstance(value, list):
      return [_with_floats(entry, typing.get_args(option)[0]) for entry in value]
  return value


def _keys(config: hyperparams.Config) -> list[str]:
  return sorted(_fields(type(config)))


def _fields(config_class: type[hyperparams.Config]) -> list[str]:
  return [field.name for field in dataclasses.fields(config_class)]


def _section_class(hint: Any) -> type[hyperparams.Config] | None:
  """The configuration class of an optional section, else None."""
  for option in (hint, *typing.get_args(hint)):
    if isinstance(option, type) and issubclass(option, hyperparams.Config):
      return option
  return None


def _checked_section(value: Any, name: str, current: hyperparams.Config) -> Mapping[str, Any]:
  if isinstance(value, Mapping) and not isinstance(value, Entries):
    return value
  raise ConfigError(
    f'{name} is a section',
    expected=f'keys below it, such as {name}.{_keys(current)[0]}',
    got='nothing' if value is None else repr(value),
    likely_cause='a missing indentation in YAML, or a key without its last part',
  )


def _resolve_entries(
  current: Any, entries: Entries, name: str, root: hyperparams.Config
) -> list[Any]:
  """The complete list after changes of single entries."""
  current = list(current or ())
  if not any(isinstance(value, Mapping) for value in entries.values()):
    if sorted(entries) != list(range(len(entries))):
      raise ConfigError(
        f'{name} has gaps',
        expected=f'all entries, {name}[0] to {name}[{max(entries)}], or a list in brackets',
        got=str(sorted(entries)),
      )
    return [entries[index] for index in range(len(entries))]
  for index, value in entries.items():
    if index >= len(current) or not isinstance(current[index], hyperparams.Config):
      raise ConfigError(
        f'{name}[{index}] does not exist', expected=f'one of {len(current)} entries', got=str(index)
      )
    entry, full = current[index], f'{name}[{index}]'
    changed = _resolve(entry, _checked_section(value, full, entry), full, root)
    current[index] = type(entry)(**{**entry.as_dict(), **changed})
  return [entry.as_dict() for entry in current]


def _check_list_entries(hint: Any, value: Any, name: str, root: hyperparams.Config) -> None:
  """Check the keys in a list of sections."""
  section = _section_class(hint)
  if section is None or not isinstance(value, Sequence) or isinstance(value, str):
    return
  for index, entry in enumerate(value):
    for key in entry if isinstance(entry, Mapping) else ():
      if key not in _fields(section):
        raise _unknown_key(f'{name}[{index}].{key}', _fields(section), f'{name}[{index}]', root)


def _unknown_key(
  name: str, known: Sequence[str], path: str, root: hyperparams.Config
) -> ConfigError:
  key = name.rpartition('.')[2]
  nearest = difflib.get_close_matches(key, known, n=1)
  elsewhere = [full for full in _all_names(root) if full.rpartition('.')[2] == key]
  if nearest:
    cause = f'a misspelled key; the nearest one is {f"{path}." if path else ""}{nearest[0]}'
  elif elsewhere:
    cause = f'a key of another section: {" or ".join(elsewhere[:_MAX_LISTED])}'
  else:
    cause = 'a misspelled key, or one of another version'
  return ConfigError(
    f'The configuration has no key {name}',
    expected=f'a key of {path or "the experiment"}: {", ".join(known)}',
    got=key,
    likely_cause=cause,
  )


def _all_names(config: hyperparams.Config, path: str = '') -> Iterator[str]:
  for field in dataclasses.fields(config):
    name, value = f'{path}{field.name}', getattr(config, field.name)
    yield name
    if isinstance(value, hyperparams.Config):
      yield from _all_names(value, f'{name}.')
