"""Checks of the arguments of augmentations."""

from htc_tf.errors import ConfigError


def check_probability(value: float, name: str) -> None:
  """Raise ConfigError unless the argument called `name` is from 0 to 1."""
  if not 0 <= value <= 1:
    raise ConfigError(
      f'{name} is out of range', expected='0..1', got=repr(value), likely_cause='a percentage'
    )
