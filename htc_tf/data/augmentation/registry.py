"""Augmentations by name, found in the modules of this package."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

from htc_tf.data import augmentation
from htc_tf.data.augmentation.base import Augmentation
from htc_tf.errors import ConfigError

_CLASSES: dict[str, type[Augmentation]] = {}


def register(name: str) -> Callable[[type[Augmentation]], type[Augmentation]]:
  """A class decorator that registers an augmentation.

  Args:
    name: name of the augmentation, and of the field in `configs.augmentation.Augmentation`.
  """

  def add(cls: type[Augmentation]) -> type[Augmentation]:
    _CLASSES[name] = cls
    cls.name = name
    return cls

  return add


def build_augmentations(values: Mapping[str, Mapping[str, Any]]) -> tuple[Augmentation, ...]:
  """Augmentations in the given order.

  Args:
    values: arguments of the constructor by name of the augmentation, as the configuration holds
      them.

  Raises:
    ConfigError: a name is unknown, or an augmentation refuses its arguments.
  """
  for module in pkgutil.iter_modules(augmentation.__path__, f'{augmentation.__name__}.'):
    importlib.import_module(module.name)
  unknown = sorted(set(values) - set(_CLASSES))
  if unknown:
    raise ConfigError(
      'An augmentation is unknown',
      expected=f'names from {sorted(_CLASSES)}',
      got=str(unknown),
      likely_cause='a field in configs/augmentation.py without a module in data/augmentation/',
    )
  return tuple(_CLASSES[name](**arguments) for name, arguments in values.items())
