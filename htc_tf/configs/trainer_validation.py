"""Checks of the trainer's values that depend on each other or on the mode."""

import itertools

from absl import logging
from official.core import config_definitions as cfg
from official.modeling.optimization.configs import learning_rate_config as rate_config

from htc_tf.configs import task as task_config
from htc_tf.configs.optimization import PUBLISHED_ADAMW
from htc_tf.configs.trainer import TrainerConfig, best_metric
from htc_tf.configs.value_types import check_positive
from htc_tf.errors import ConfigError
from htc_tf.evaluation import metrics

_TRAINING_NUMBERS = ('train_steps', 'steps_per_loop', 'summary_interval', 'checkpoint_interval')
# Backbones whose layers `optimization.rate_by_depth` finds.
_BACKBONES_WITH_DEPTH = ('published_resnet', 'published_swin')
# Fields whose default, None, makes Model Garden fail in the first step.
_NEEDED = (
  'learning_rate',
  'initial_learning_rate',
  'decay_steps',
  'total_decay_steps',
  'decay_rate',
  'boundaries',
  'values',
  'warmup_steps',
)


def check_training(trainer: cfg.TrainerConfig) -> None:
  """Check the values that a training uses.

  Args:
    trainer: the configuration; types and ranges of single values are right.

  Raises:
    ConfigError: a value is 0 or missing, or values contradict each other.
  """
  for name in _TRAINING_NUMBERS:
    check_positive(getattr(trainer, name), f'trainer.{name}')
  if trainer.summary_interval % trainer.steps_per_loop:
    raise ConfigError(
      'trainer.summary_interval does not fit trainer.steps_per_loop',
      expected=f'a multiple of steps_per_loop = {trainer.steps_per_loop}',
      got=str(trainer.summary_interval),
      likely_cause='one of the two was changed without the other',
    )
  optimization = trainer.optimizer_config
  for name in ('optimizer', 'learning_rate'):
    if not getattr(optimization, name).type:
      raise ConfigError(
        f'trainer.optimizer_config.{name}.type has no value',
        expected='a type of Model Garden, such as sgd and stepwise',
        got='null',
      )
  for name in ('learning_rate', 'warmup'):
    _check_schedule(getattr(optimization, name).get(), f'trainer.optimizer_config.{name}')
  _warn_of_other_lengths(trainer)


def _warn_of_other_lengths(trainer: cfg.TrainerConfig) -> None:
  """Warn if the learning rate is made for another number of steps, so that steps are lost."""
  rate, warmup = trainer.optimizer_config.learning_rate, trainer.optimizer_config.warmup.get()
  num_steps = trainer.train_steps
  if rate.type == 'cosine' and rate.cosine.decay_steps < num_steps:
    logging.warning(
      'The learning rate is at its end from step %d of %d on: '
      'trainer.optimizer_config.learning_rate.cosine.decay_steps is smaller than '
      'trainer.train_steps. --epochs fits both.',
      rate.cosine.decay_steps,
      num_steps,
    )
  steps = getattr(warmup, 'warmup_steps', 0)
  if steps >= num_steps > 1:
    logging.warning(
      'The learning rate never reaches its full value: the warm-up takes %d steps, and the '
      'training %d. --epochs fits both.',
      steps,
      num_steps,
    )


def _check_schedule(schedule: object | None, name: str) -> None:
  """Check that a learning rate or warm-up has all its values, and steps that fit them."""
  for field in _NEEDED:
    if getattr(schedule, field, 0) is None:
      raise ConfigError(
        f'{name}.{field} has no value',
        expected='a number, or a list of numbers',
        got='null',
        likely_cause='a type of schedule that was chosen without its values',
      )
  steps = (rate_config.StepwiseLrConfig, rate_config.StepCosineLrConfig)
  if not isinstance(schedule, steps):
    return
  boundaries, values = list(schedule.boundaries), list(schedule.values)
  # StepCosine has a rate per boundary, which it starts with; stepwise one more, before the first.
  num_values = len(boundaries) + isinstance(schedule, rate_config.StepwiseLrConfig)
  if len(values) != num_values:
    raise ConfigError(
      f'{name}: boundaries and values disagree',
      expected=f'{num_values} values for {len(boundaries)} boundaries',
      got=f'boundaries={boundaries}, values={values}',
      likely_cause='one of the two lists was changed without the other',
    )
  if any(low >= high for low, high in itertools.pairwise(boundaries)):
    raise ConfigError(
      f'{name}.boundaries are out of order',
      expected='steps that rise',
      got=str(boundaries),
    )


def check_averages(trainer: cfg.TrainerConfig, runtime: cfg.RuntimeConfig) -> None:
  """Check that the other options of a training allow its weights to be averaged, if they are.

  Args:
    trainer: configuration of the trainer.
    runtime: configuration of the devices.

  Raises:
    ConfigError: they do not.
  """
  name = 'trainer.optimizer_config.ema'
  if trainer.optimizer_config.ema is None:
    return
  if runtime.mixed_precision_dtype == 'float16':
    raise ConfigError(
      f'{name} does not work with float16',
      expected=f'runtime.mixed_precision_dtype=float32 or bfloat16, or no averages ({name}=null)',
      got='float16, whose optimizer scales the loss and does not update the averages',
    )
  if trainer.recovery_max_trials > 0:
    raise ConfigError(
      f'{name} does not work with trainer.recovery_max_trials',
      expected=f'recovery_max_trials=0, or no averages ({name}=null)',
      got=str(trainer.recovery_max_trials),
      likely_cause='the recovery of Model Garden, which would train the averages on; '
      'task.skip_non_finite_steps=true skips steps whose loss is not finite',
    )


def check_rate_by_depth(trainer: cfg.TrainerConfig, backbone: str | None) -> None:
  """Check that learning rates by depth find the layers of the backbone by their names.

  Args:
    trainer: the configuration.
    backbone: type of the backbone.

  Raises:
    ConfigError: its layers have other names.
  """
  optimizer = trainer.optimizer_config.optimizer
  if optimizer.type != PUBLISHED_ADAMW or optimizer.get().rate_by_depth.factor == 1:
    return
  if backbone not in _BACKBONES_WITH_DEPTH:
    name = 'trainer.optimizer_config.optimizer.published_adamw.rate_by_depth.factor'
    raise ConfigError(
      f'{name} cannot be used',
      expected=f'task.model.backbone.type of {" or ".join(_BACKBONES_WITH_DEPTH)}, or factor 1',
      got=str(backbone),
      likely_cause='the settings of another backbone',
    )


def check_evaluation(trainer: TrainerConfig, mode: str, task: task_config.HTCTask) -> None:
  """Check the values that an evaluation uses.

  Args:
    trainer: the configuration; types and ranges of single values are right.
    mode: mode of the training command.
    task: configuration of the task, which decides on the figures of an evaluation.

  Raises:
    ConfigError: a value is 0, or the best checkpoint is chosen by a figure that does not exist.
  """
  if mode == 'train_and_eval':
    check_positive(trainer.validation_interval, 'trainer.validation_interval')
  if trainer.validation_steps == 0:
    raise ConfigError(
      'trainer.validation_steps is out of range',
      expected='a positive number, or -1 for all images',
      got='0',
    )
  if trainer.best_checkpoint_export_subdir or trainer.patience:
    _check_best_metric(best_metric(trainer, task.model.include_mask), task)


def _check_best_metric(metric: str, task: task_config.HTCTask) -> None:
  kinds = ('bbox', 'segm') if task.model.include_mask else ('bbox',)
  known = metrics.figure_names(kinds, task.model.detection_generator.max_detections)
  by_category = task.per_category_metrics and metrics.is_by_category(metric, kinds)
  if metric not in known and not by_category:
    raise ConfigError(
      'trainer.best_checkpoint_eval_metric is unknown',
      expected=f'one of {known}'
      + (', or the AP of a category' if task.per_category_metrics else ''),
      got=repr(metric),
      likely_cause='a name of another program, or masks that the model does not predict',
    )
