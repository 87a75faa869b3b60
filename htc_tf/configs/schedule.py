"""Training schedules, and the rules that fit one to another batch size and to other data."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

from official.core import config_definitions as cfg
from official.modeling import optimization

from htc_tf.configs.optimization import PUBLISHED_SGD, Optimization
from htc_tf.configs.trainer import TrainerConfig
from htc_tf.errors import ConfigError

# Number of images of COCO train2017 with at least one instance, the images of a published epoch.
COCO_TRAIN_IMAGES = 117266

# Intervals of the trainer that are one epoch long.
INTERVALS = ('validation_interval', 'checkpoint_interval')


# A report covers at least this many steps, and an epoch of small data.
_REPORT_STEPS = 100
KINDS = ('step', 'cosine')
_CYCLES = 'step_cosine_with_offset'  # Of Model Garden.
# Keras keeps a rate up to and including the step with the number of the boundary, counted from 0.
# The originals change it at this step, as they do with the schedule's steps moved by one.
_STEPWISE_OFFSET = -1


@dataclasses.dataclass(frozen=True)
class Schedule:
  """SGD with a linear warm-up; by default the published 1x schedule.

  Attributes:
    epochs: number of passes over the data.
    kind: 'step' divides the learning rate by ten after each of the milestones; 'cosine' lowers it
      to 0 along half a cosine.
    milestones: epochs after which a 'step' schedule lowers the learning rate.
    learning_rate: learning rate for `batch_size` images per step.
    batch_size: number of images per step.
    num_images: number of images per epoch.
    warmup_steps: number of steps of the warm-up.
    warmup_share: share of all steps that the warm-up takes; None to use `warmup_steps`.
    warmup_factor: first learning rate as a share of the full one.
    optimizer: 'published_sgd', or 'sgd' of Keras, whose momentum contains the learning rate.
    momentum: momentum of SGD.
    clip_norm: largest norm of all gradients together, above which they are scaled down; None for no
      limit.
    ema_decay: decay per step of an exponential moving average of the weights, which evaluations and
      checkpoints use; None for no average.
  """

  epochs: int = 12
  kind: str = 'step'
  milestones: tuple[float, ...] = (8, 11)
  learning_rate: float = 0.02
  batch_size: int = 16
  num_images: int = COCO_TRAIN_IMAGES
  warmup_steps: int = 500
  warmup_share: float | None = None
  warmup_factor: float = 0.001
  optimizer: str = PUBLISHED_SGD
  momentum: float = 0.9
  clip_norm: float | None = None
  ema_decay: float | None = None

  @property
  def steps_per_epoch(self) -> int:
    """Number of steps per epoch, rounded up."""
    return steps_per_epoch(self.num_images, self.batch_size)

  @property
  def train_steps(self) -> int:
    """Number of steps of all epochs."""
    return self.epochs * self.steps_per_epoch


def steps_per_epoch(num_images: int, batch_size: int) -> int:
  """Number of steps in which every image is read once, rounded up."""
  return -(-num_images // batch_size)


def build_trainer(schedule: Schedule) -> TrainerConfig:
  """The trainer's configuration for a schedule, with a checkpoint and an evaluation per epoch.

  Raises:
    ConfigError: the kind of schedule is unknown.
  """
  epoch = schedule.steps_per_epoch
  sgd = {'momentum': schedule.momentum, 'global_clipnorm': schedule.clip_norm}
  return TrainerConfig(
    train_steps=schedule.train_steps,
    validation_steps=-1,
    validation_interval=epoch,
    checkpoint_interval=epoch,
    max_to_keep=3,
    steps_per_loop=_REPORT_STEPS,
    summary_interval=_REPORT_STEPS,
    # Between the steps of a Python loop, an interruption can save a checkpoint.
    train_tf_while_loop=False,
    optimizer_config=Optimization(
      {
        # Both have the values, so that a change of the type is enough to choose the other one.
        'optimizer': {'type': schedule.optimizer, 'sgd': sgd, PUBLISHED_SGD: sgd},
        'learning_rate': _learning_rate(schedule),
        'warmup': {
          'type': 'linear',
          'linear': {
            'warmup_steps': _warmup_steps(schedule),
            'warmup_learning_rate': schedule.learning_rate * schedule.warmup_factor,
          },
        },
        'ema': None if schedule.ema_decay is None else {'average_decay': schedule.ema_decay},
      }
    ),
  )


def _learning_rate(schedule: Schedule) -> dict[str, Any]:
  """The learning rate after the warm-up, as Model Garden's configuration has it."""
  if schedule.kind == 'cosine':
    cosine = {'initial_learning_rate': schedule.learning_rate, 'decay_steps': schedule.train_steps}
    return {'type': 'cosine', 'cosine': cosine}
  if schedule.kind != 'step':
    raise ConfigError(
      'The kind of schedule is unknown',
      expected=f'one of {list(KINDS)}',
      got=repr(schedule.kind),
      likely_cause='a misspelled name',
    )
  boundaries = [round(milestone * schedule.steps_per_epoch) for milestone in schedule.milestones]
  values = [schedule.learning_rate * 0.1**i for i in range(len(boundaries) + 1)]
  return {
    'type': 'stepwise',
    'stepwise': {'boundaries': boundaries, 'values': values, 'offset': _STEPWISE_OFFSET},
  }


def _warmup_steps(schedule: Schedule) -> int:
  if schedule.warmup_share is None:
    return schedule.warmup_steps
  return max(1, round(schedule.warmup_share * schedule.train_steps))


def rescaled(trainer: cfg.TrainerConfig, old_batch: int, new_batch: int) -> dict[str, Any]:
  """A schedule for another batch size, with the same number of epochs.

  The learning rate follows the linear rule of Goyal et al. 2017, section 2.1: with k times the
  images per step, the rate is k times as large. The warm-up keeps its number of steps in a schedule
  of steps, and its share of the run in a cosine one.

  Args:
    trainer: trainer configuration, as `build_trainer` makes it or with cycles of cosines.
    old_batch: number of images per step that `trainer` is made for.
    new_batch: number of images per step of the new schedule.

  Returns:
    Overrides of the trainer configuration, as nested dictionaries.
  """
  factor = new_batch / old_batch

  def steps(old: int) -> int:
    return max(1, round(old / factor))

  return {
    **stretched(trainer, steps(trainer.train_steps), factor),
    **{interval: steps(getattr(trainer, interval)) for interval in INTERVALS},
  }


def stretched(
  trainer: cfg.TrainerConfig,
  num_steps: int,
  rate_factor: float,
  epochs_factor: float = 1.0,
  max_warmup_share: float = 1.0,
) -> dict[str, Any]:
  """A schedule with the same course over another number of steps.

  Args:
    trainer: trainer configuration, as `build_trainer` makes it or with cycles of cosines.
    num_steps: new number of steps.
    rate_factor: factor on the learning rates.
    epochs_factor: new number of epochs divided by the old one; cycles of cosines keep their number
      of epochs.
    max_warmup_share: largest share of the steps for a warm-up, which keeps its number of steps
      otherwise. In a cosine schedule it keeps its share of the run.

  Returns:
    Overrides of the trainer configuration, without its intervals, as nested dictionaries.
  """
  ratio = num_steps / trainer.train_steps
  optimizer = trainer.optimizer_config
  rate, warmup = optimizer.learning_rate, optimizer.warmup
  if rate.type == _CYCLES:
    changes = _stretched_cycles(rate.get(), num_steps, rate_factor, epochs_factor)
  else:
    changes = _stretched_rate(rate, ratio, rate_factor)
  values: dict[str, Any] = {'learning_rate': {rate.type: changes}}
  if warmup.type == 'linear':
    linear = warmup.linear
    steps = linear.warmup_steps
    if rate.type == 'cosine':
      steps = max(1, round(steps * ratio))
    values['warmup'] = {
      'linear': {
        'warmup_learning_rate': linear.warmup_learning_rate * rate_factor,
        'warmup_steps': min(steps, max(1, round(max_warmup_share * num_steps))),
      }
    }
  return {'train_steps': num_steps, 'optimizer_config': values}


def _stretched_rate(
  config: optimization.LrConfig, ratio: float, rate_factor: float
) -> dict[str, Any]:
  """Overrides of a learning rate that falls in steps or along a single cosine."""
  if config.type == 'cosine':
    cosine = config.cosine
    return {
      'initial_learning_rate': cosine.initial_learning_rate * rate_factor,
      'decay_steps': max(1, round(cosine.decay_steps * ratio)),
    }
  rate = config.stepwise
  return {
    'boundaries': [max(1, round(boundary * ratio)) for boundary in rate.boundaries],
    'values': [value * rate_factor for value in rate.values],
  }


def _stretched_cycles(
  config: Any, num_steps: int, rate_factor: float, epochs_factor: float
) -> dict[str, Any]:
  """Overrides of cycles of cosines of equal lengths, each with its first and its last step.

  A cycle ends one step before the next one begins, so that no step lies between the low rate and
  the high one. It has at least two steps.
  """
  first, last = (value * rate_factor for value in config.values[:2])
  num_cycles = round(len(config.values) / 2 * epochs_factor)
  num_cycles = max(1, min(num_cycles, num_steps // 2))
  edges = [round(num_steps * cycle / num_cycles) for cycle in range(num_cycles + 1)]
  ends = [*(edge - 1 for edge in edges[1:-1]), num_steps]
  return {
    'boundaries': [step for cycle in zip(edges, ends) for step in cycle],
    'values': [first, last] * num_cycles,
  }


def describe(trainer: cfg.TrainerConfig, batch_size: int, num_images: int) -> str:
  """A line about the schedule, in steps and in epochs.

  Args:
    trainer: the trainer's configuration.
    batch_size: number of images per step.
    num_images: number of images per epoch.
  """

  def epochs(steps: int) -> str:
    return f'{steps / steps_per_epoch(num_images, batch_size):.1f}'

  def with_epochs(steps: int) -> str:
    return f'step {steps} (epoch {epochs(steps)})'

  optimizer = trainer.optimizer_config
  text = _describe_rate(optimizer.learning_rate, with_epochs)
  if optimizer.warmup.type:
    text += f', after a warm-up of {optimizer.warmup.get().warmup_steps} steps'
  limit = getattr(optimizer.optimizer.get(), 'global_clipnorm', None)
  if limit is not None:
    text += f'; gradients up to a norm of {limit:g}'
  if optimizer.ema is not None:
    text += f'; weights averaged with a decay of {optimizer.ema.average_decay:g}'
  return (
    f'{trainer.train_steps} steps of {batch_size} images = {epochs(trainer.train_steps)} epochs of '
    f'{num_images} training images; learning rate {text}; checkpoint every '
    f'{trainer.checkpoint_interval} steps'
  )


def _describe_rate(rate: optimization.LrConfig, with_epochs: Callable[[int], str]) -> str:
  if rate.type == 'cosine':
    cosine = rate.cosine
    first = cosine.initial_learning_rate
    return f'{first:g}, along a cosine to {first * cosine.alpha:g}'
  if rate.type == _CYCLES:
    values = rate.get().values
    num_cycles = sum(low < high for low, high in itertools.pairwise(values)) + 1
    return f'along {num_cycles} cosines between {max(values):g} and {min(values):g}'
  if rate.type != 'stepwise':
    return str(rate.type)
  boundaries, values = rate.stepwise.boundaries, rate.stepwise.values
  changes = [f'{value:g} from {with_epochs(step)}' for step, value in zip(boundaries, values[1:])]
  return ', '.join([f'{values[0]:g}', *changes])
