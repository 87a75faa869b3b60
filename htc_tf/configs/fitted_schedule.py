"""The schedule of a training on data of one's own."""

from typing import Any

from htc_tf.configs import experiments, schedule, sizes
from htc_tf.configs.parsing import Parsed

TRAIN_STEPS = 'trainer.train_steps'
_MAX_WARMUP_SHARE = 0.1
_MIN_STEPS_WITH_MILESTONES = 24  # Milestones of fewer steps would coincide.


def schedule_values(
  experiment: str, epochs: int | None, typed: Parsed, num_images: int
) -> dict[str, Any]:
  """Overrides of the trainer for a number of images: the course of the experiment's schedule.

  The learning rate follows the batch linearly (Goyal et al. 2017, section 2.1).

  Args:
    experiment: name of the experiment.
    epochs: number of passes over the images; None for that of the experiment.
    typed: the experiment with the values that the user typed, and its batch size. A typed number of
      steps counts, and warm-up and learning rate follow it.
    num_images: number of training images.

  Returns:
    Nested dictionaries for `overrides.apply`.
  """
  base, params = typed.base, typed.params
  batch_size = params.task.train_data.global_batch_size
  epoch = schedule.steps_per_epoch(num_images, batch_size)
  own_epochs = _epochs_of(experiment)
  epochs = epochs or own_epochs
  num_steps = params.trainer.train_steps if TRAIN_STEPS in typed.changed else epochs * epoch
  values = schedule.stretched(
    base.trainer,
    num_steps,
    rate_factor=batch_size / base.task.train_data.global_batch_size,
    epochs_factor=epochs / own_epochs,
    max_warmup_share=_MAX_WARMUP_SHARE,
  )
  rate = values['optimizer_config']['learning_rate']
  if 'stepwise' in rate and num_steps < _MIN_STEPS_WITH_MILESTONES:
    rate['stepwise'] = {'boundaries': [], 'values': rate['stepwise']['values'][:1]}
  return {'trainer': {**values, **dict.fromkeys(schedule.INTERVALS, epoch)}}


def _epochs_of(experiment: str) -> int:
  is_size = sizes.of_experiment(experiment) is not None
  return sizes.EPOCHS if is_size else experiments.schedule_of(experiment).epochs
