"""Parsing of the flags of a command into the configuration of an experiment."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from absl import logging
from official.core import config_definitions as cfg
from official.core import exp_factory

from htc_tf.configs import override_text, schedule
from htc_tf.configs import overrides as overrides_lib
from htc_tf.configs import task as task_config
from htc_tf.errors import ConfigError

# Keys that describe the schedule: a run that sets one of them has its own schedule.
_SCHEDULE_KEYS = (
  'trainer.train_steps',
  'trainer.optimizer_config.learning_rate',
  'trainer.optimizer_config.warmup',
)

_OPTIMIZER = 'trainer.optimizer_config.optimizer'


class Parsed(NamedTuple):
  """An experiment, and what made it differ from the registered one.

  Attributes:
    params: the experiment.
    changed: full names of the keys that files or texts set, e.g. 'trainer.train_steps'.
  """

  params: cfg.ExperimentConfig
  changed: frozenset[str]


def known_experiments() -> list[str]:
  """Names of the registered HTC experiments."""
  names = exp_factory._REGISTERED_CONFIGS
  return sorted(name for name, make in names.items() if make.__module__.startswith('htc_tf'))


def parse(
  experiment: str,
  config_files: Sequence[str] = (),
  params_override: str | Sequence[str] = (),
) -> Parsed:
  """The experiment that the flags of a command describe.

  Args:
    experiment: name of a registered experiment (see `registry_imports`).
    config_files: YAML files with overrides, applied in order.
    params_override: texts with overrides, applied in order after the files; see
      `override_text.parse_text`.

  Raises:
    ConfigError: the experiment or a key is unknown, or a file or text cannot be read.
  """
  if experiment not in exp_factory._REGISTERED_CONFIGS:
    raise ConfigError(
      'The experiment is unknown',
      expected=f'one of {known_experiments()}',
      got=repr(experiment),
      likely_cause='a misspelled name',
    )
  params = exp_factory.get_exp_config(experiment)
  changes = [override_text.read_file(path) for path in config_files]
  changes += parse_texts(params_override)
  parsed = Parsed(params, apply_all(params, changes))
  _warn_of_other_optimizers(parsed)
  return parsed


def _warn_of_other_optimizers(parsed: Parsed) -> None:
  """Warn of values that have no effect, because they are those of an optimizer that is not chosen.

  The published experiments once had the type `sgd`, so that there are commands with such values.
  """
  chosen = f'{_OPTIMIZER}.{parsed.params.trainer.optimizer_config.optimizer.type}'
  without_effect = [
    name
    for name in sorted(parsed.changed)
    if name.startswith(f'{_OPTIMIZER}.')
    and name != f'{_OPTIMIZER}.type'
    and not name.startswith(f'{chosen}.')
  ]
  if without_effect:
    logging.warning(
      '%s has no effect: the optimizer is %s. Set its value instead, or %s.type',
      ', '.join(without_effect),
      chosen,
      _OPTIMIZER,
    )


def parse_texts(params_override: str | Sequence[str]) -> list[dict[str, Any]]:
  """The overrides in one text or several; see `override_text.parse_text`."""
  texts = [params_override] if isinstance(params_override, str) else params_override
  return [override_text.parse_text(text) for text in texts]


def apply_all(params: cfg.ExperimentConfig, changes: Iterable[dict[str, Any]]) -> frozenset[str]:
  """Apply overrides in order; return the full names of the keys that they set.

  Raises:
    ConfigError: a key is unknown.
  """
  changed: set[str] = set()
  for change in changes:
    overrides_lib.apply(params, change)
    changed.update(overrides_lib.leaves(change))
  return frozenset(changed)


def rescale_for_batch(experiment: str, parsed: Parsed) -> None:
  """Fit the schedule to a changed training batch size, unless a key of the schedule is set too.

  The intervals of checkpoints and evaluations follow, except for one that is set.

  Args:
    experiment: name of the registered experiment.
    parsed: the experiment after files and texts; its schedule is replaced.
  """
  params = parsed.params
  if not isinstance(params.task, task_config.HTCTask) or not _trains(params):
    return
  base = exp_factory.get_exp_config(experiment)
  old, new = base.task.train_data.global_batch_size, params.task.train_data.global_batch_size
  own_schedule = sorted(key for key in parsed.changed if key.startswith(_SCHEDULE_KEYS))
  if old == new:
    return
  if own_schedule:
    logging.info(
      'The batch changed from %d to %d images, and the schedule stays as it is, because %s is set.',
      old,
      new,
      ', '.join(own_schedule),
    )
    return
  changes = schedule.rescaled(params.trainer, old, new)
  for interval in schedule.INTERVALS:
    if f'trainer.{interval}' in parsed.changed:
      del changes[interval]
  logging.info(
    'The schedule of %d images per step was fitted to %d: the same epochs, and a learning rate in '
    'proportion. To train with another schedule, set trainer.train_steps or a key of '
    'trainer.optimizer_config.learning_rate or .warmup.',
    old,
    new,
  )
  params.override({'trainer': changes})


def move_xla_flag(params: cfg.ExperimentConfig) -> None:
  """Replace `runtime.enable_xla` by the task's `jit_compile`.

  Model Garden applies the flag on GPUs only, and compiles a single step in which the padded size is
  unknown. The task compiles one step per padded size, on any device.

  Args:
    params: the experiment to change.
  """
  if isinstance(params.task, task_config.HTCTask) and params.runtime.enable_xla:
    params.override({'runtime': {'enable_xla': False}, 'task': {'jit_compile': True}})


def _trains(params: cfg.ExperimentConfig) -> bool:
  """Whether there is a training batch that the schedule can be fitted to."""
  size = params.task.train_data.global_batch_size
  return isinstance(size, int) and size > 0  # The checks of values come later.
