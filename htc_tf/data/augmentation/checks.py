"""Checks of the arguments of augmentations."""

from collections.abc import Iterable

from htc_tf.data.augmentation.base import Augmentation
from htc_tf.errors import ConfigError


def check_probability(value: float, name: str) -> None:
  """Raise ConfigError unless the argument called `name` is from 0 to 1."""
  check_range(value, 0, 1, name, likely_cause='a percentage')


def check_range(
  value: float, low: float, high: float, name: str, likely_cause: str | None = None
) -> None:
  """Raise ConfigError unless the argument called `name` is from `low` to `high`."""
  if not low <= value <= high:
    raise ConfigError(
      f'{name} is out of range',
      expected=f'{low}..{high}',
      got=repr(value),
      likely_cause=likely_cause,
    )


def check_channels(
  augmentations: Iterable[Augmentation], num_channels: int, field: str = 'augmentation'
) -> None:
  """Raise ConfigError if an augmentation that needs RGB is on, and images are not RGB.

  Args:
    augmentations: the augmentations of an input pipeline.
    num_channels: number of channels of its images.
    field: name of the field of the configuration that has the augmentations, for messages.
  """
  for augmentation in augmentations:
    if augmentation.needs_rgb and augmentation.is_active and num_channels != 3:
      name = f'{field}.{augmentation.name}'
      raise ConfigError(
        f'{name} needs RGB images',
        expected='images with 3 channels',
        got=f'{num_channels} channel{"s"[: num_channels != 1]}',
        likely_cause=f'a configuration for color images; set {name}.probability=0',
      )
