"""Fields of configurations with defaults that every object has for itself."""

import dataclasses
from typing import Any

from official.modeling import hyperparams


def part(config_class: type[hyperparams.Config], **values: Any) -> Any:
  """A dataclass field with a nested configuration as its default.

  Args:
    config_class: class of the configuration.
    **values: its values that differ from the defaults of the class.
  """
  return dataclasses.field(default_factory=lambda: config_class(**values))


def listed(*values: float) -> Any:
  """A dataclass field with a list of the values as its default."""
  return dataclasses.field(default_factory=lambda: list(values))
