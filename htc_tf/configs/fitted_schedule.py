"""The schedule of a training on data of one's own."""

import dataclasses
from typing import Any

from official.core import config_definitions as cfg

from htc_tf.configs import schedule, sizes

TRAIN_STEPS = 'trainer.train_steps'
_PUBLISHED_MILESTONES = (8 / 12, 11 / 12)
_MAX_WARMUP_SHARE = 0.1
_MIN_STEPS_WITH_MILESTONES = 24  # Milestones of fewer steps would coincide.
_KEYS = ('train_steps', 'steps_per_loop', 'summary_interval', 'optimizer_config')


def schedule_values(
  size: sizes.Size | None,
  epochs: int | None,
  params: cfg.ExperimentConfig,
  num_images: int,
  typed: frozenset[str],
) -> dict[str, Any]:
  """Overrides of the trainer for a number of images.

  Args:
    size: size of the model; None for the published schedule.
    epochs: number of passes over the images; None for that of the size or the published schedule.
    params: the experiment with its batch size.
    num_images: number of training images.
    typed: names of the values that the user typed; a typed number of steps counts, and warm-up and
      learning rate follow it.

  Returns:
    Nested dictionaries for `overrides.apply`.
  """
  batch_size = params.task.train_data.global_batch_size
  epoch = schedule.steps_per_epoch(num_images, batch_size)
  if TRAIN_STEPS in typed:
    epochs, num_images = 1, params.trainer.train_steps * batch_size  # One long epoch.
  if size is not None:
    built = size.schedule(epochs or sizes.EPOCHS, num_images, batch_size)
  else:
    built = _published_schedule(epochs, num_images, batch_size)
  trainer = schedule.build_trainer(built).as_dict()
  if trainer['optimizer_config']['ema'] is None:
    del trainer['optimizer_config']['ema']  # An override may set it.
  values = {key: trainer[key] for key in _KEYS}
  return {'trainer': {**values, **dict.fromkeys(schedule.INTERVALS, epoch)}}


def _published_schedule(epochs: int | None, num_images: int, batch_size: int) -> schedule.Schedule:
  """The published schedule, stretched to a number of epochs of other data."""
  base = schedule.Schedule()
  epochs = epochs or base.epochs
  steps = epochs * schedule.steps_per_epoch(num_images, batch_size)
  milestones = [epochs * milestone for milestone in _PUBLISHED_MILESTONES]
  return dataclasses.replace(
    base,
    epochs=epochs,
    milestones=tuple(milestones) if steps >= _MIN_STEPS_WITH_MILESTONES else (),
    learning_rate=base.learning_rate * batch_size / base.batch_size,
    batch_size=batch_size,
    num_images=num_images,
    warmup_steps=min(base.warmup_steps, max(1, round(_MAX_WARMUP_SHARE * steps))),
  )
