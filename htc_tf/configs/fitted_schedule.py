"""The schedule of a training on data of one's own."""

import dataclasses
from typing import Any

from official.core import config_definitions as cfg

from htc_tf.configs import experiments, schedule, sizes

TRAIN_STEPS = 'trainer.train_steps'
_MAX_WARMUP_SHARE = 0.1
_MIN_STEPS_WITH_MILESTONES = 24  # Milestones of fewer steps would coincide.
_KEYS = ('train_steps', 'optimizer_config')


def schedule_values(
  experiment: str,
  epochs: int | None,
  params: cfg.ExperimentConfig,
  num_images: int,
  typed: frozenset[str],
) -> dict[str, Any]:
  """Overrides of the trainer for a number of images.

  Args:
    experiment: name of the experiment.
    epochs: number of passes over the images; None for that of the experiment.
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
  size = sizes.of_experiment(experiment)
  if size is not None:
    built = size.schedule(epochs or sizes.EPOCHS, num_images, batch_size)
  else:
    own = experiments.schedule_of(experiment)
    built = _stretched(own, epochs or own.epochs, num_images, batch_size)
  trainer = schedule.build_trainer(built).as_dict()
  if trainer['optimizer_config']['ema'] is None:
    del trainer['optimizer_config']['ema']  # An override may set it.
  values = {key: trainer[key] for key in _KEYS}
  return {'trainer': {**values, **dict.fromkeys(schedule.INTERVALS, epoch)}}


def _stretched(
  own: schedule.Schedule, epochs: int, num_images: int, batch_size: int
) -> schedule.Schedule:
  """The schedule of an experiment, for a number of epochs of other data."""
  steps = epochs * schedule.steps_per_epoch(num_images, batch_size)
  milestones = tuple(epochs * milestone / own.epochs for milestone in own.milestones)
  return dataclasses.replace(
    own,
    epochs=epochs,
    milestones=milestones if steps >= _MIN_STEPS_WITH_MILESTONES else (),
    learning_rate=own.learning_rate * batch_size / own.batch_size,
    batch_size=batch_size,
    num_images=num_images,
    warmup_steps=min(own.warmup_steps, max(1, round(_MAX_WARMUP_SHARE * steps))),
  )
