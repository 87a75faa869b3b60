"""The published training schedule, and the rule that fits it to another batch size."""

import dataclasses
from typing import Any

from official.core import config_definitions as cfg
from official.modeling import optimization

# Number of images of COCO train2017 with at least one instance, the images of a published epoch.
COCO_TRAIN_IMAGES = 117266

# Intervals of the trainer that are one epoch long.
INTERVALS = ('validation_interval', 'checkpoint_interval')


@dataclasses.dataclass(frozen=True)
class Schedule:
  """SGD with a step-wise learning rate and linear warm-up; by default the published 1x schedule.

  Attributes:
    epochs: number of passes over the data.
    milestones: epochs after which the learning rate is divided by ten.
    learning_rate: learning rate for `batch_size` images per step.
    batch_size: number of images per step.
    num_images: number of images per epoch.
    warmup_steps: number of steps of the linear warm-up.
    warmup_factor: first learning rate as a share of the full one.
    momentum: momentum of SGD.
  """

  epochs: int = 12
  milestones: tuple[int, ...] = (8, 11)
  learning_rate: float = 0.02
  batch_size: int = 16
  num_images: int = COCO_TRAIN_IMAGES
  warmup_steps: int = 500
  warmup_factor: float = 0.001
  momentum: float = 0.9

  @property
  def steps_per_epoch(self) -> int:
    """Number of steps per epoch, rounded up."""
    return -(-self.num_images // self.batch_size)


def build_trainer(schedule: Schedule) -> cfg.TrainerConfig:
  """Model Garden's trainer for a schedule, with a checkpoint and an evaluation per epoch."""
  epoch = schedule.steps_per_epoch
  values = [schedule.learning_rate * 0.1**i for i in range(len(schedule.milestones) + 1)]
  return cfg.TrainerConfig(
    train_steps=schedule.epochs * epoch,
    validation_steps=-1,
    validation_interval=epoch,
    checkpoint_interval=epoch,
    max_to_keep=3,
    steps_per_loop=100,
    summary_interval=100,
    # Between the steps of a Python loop, an interruption can save a checkpoint.
    train_tf_while_loop=False,
    optimizer_config=optimization.OptimizationConfig(
      {
        'optimizer': {'type': 'sgd', 'sgd': {'momentum': schedule.momentum}},
        'learning_rate': {
          'type': 'stepwise',
          'stepwise': {'boundaries': [m * epoch for m in schedule.milestones], 'values': values},
        },
        'warmup': {
          'type': 'linear',
          'linear': {
            'warmup_steps': schedule.warmup_steps,
            'warmup_learning_rate': schedule.learning_rate * schedule.warmup_factor,
          },
        },
      }
    ),
  )


def rescaled(trainer: cfg.TrainerConfig, old_batch: int, new_batch: int) -> dict[str, Any]:
  """A step-wise schedule for another batch size, with the same number of epochs.

  The learning rate follows the linear rule of Goyal et al. 2017, section 2.1: with k times the
  images per step, the rate is k times as large. The warm-up keeps its number of steps.

  Args:
    trainer: trainer configuration made by `build_trainer`.
    old_batch: number of images per step that `trainer` is made for.
    new_batch: number of images per step of the new schedule.

  Returns:
    Overrides of the trainer configuration, as nested dictionaries.
  """
  factor = new_batch / old_batch

  def steps(old: int) -> int:
    return max(1, round(old / factor))

  rate = trainer.optimizer_config.learning_rate.stepwise
  warmup = trainer.optimizer_config.warmup.linear
  return {
    'train_steps': steps(trainer.train_steps),
    **{interval: steps(getattr(trainer, interval)) for interval in INTERVALS},
    'optimizer_config': {
      'learning_rate': {
        'stepwise': {
          'boundaries': [steps(b) for b in rate.boundaries],
          'values': [v * factor for v in rate.values],
        }
      },
      'warmup': {'linear': {'warmup_learning_rate': warmup.warmup_learning_rate * factor}},
    },
  }


def describe(trainer: cfg.TrainerConfig, batch_size: int, num_images: int) -> str:
  """A line about the schedule, in steps and in epochs.

  Args:
    trainer: the trainer's configuration.
    batch_size: number of images per step.
    num_images: number of images per epoch.
  """

  def epochs(steps: int) -> str:
    return f'{steps * batch_size / num_images:.1f}'

  def with_epochs(steps: int) -> str:
    return f'step {steps} (epoch {epochs(steps)})'

  rate, warmup = (getattr(trainer.optimizer_config, name) for name in ('learning_rate', 'warmup'))
  if rate.type == 'stepwise':
    boundaries, values = rate.stepwise.boundaries, rate.stepwise.values
    changes = [f'{value:g} from {with_epochs(step)}' for step, value in zip(boundaries, values[1:])]
    text = ', '.join([f'{values[0]:g}', *changes])
  else:
    text = rate.type
  if warmup.type:
    text += f', after a warm-up of {warmup.get().warmup_steps} steps'
  return (
    f'{trainer.train_steps} steps of {batch_size} images = {epochs(trainer.train_steps)} epochs of '
    f'{num_images} training images; learning rate {text}; checkpoint every '
    f'{trainer.checkpoint_interval} steps'
  )
