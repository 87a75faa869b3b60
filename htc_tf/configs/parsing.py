"""Parsing of the flags of a command into the configuration of an experiment."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from absl import logging
from official.core import config_definitions as cfg
from official.core import exp_factory

from htc_tf.configs import experiment_files, override_text, schedule, suppression_values
from htc_tf.configs import overrides as overrides_lib
from htc_tf.configs import task as task_config
from htc_tf.errors import ConfigError

# Keys that describe the schedule: a run that sets one of them has its own schedule.
_SCHEDULE_KEYS = (
  'trainer.train_steps',
  'trainer.optimizer_config.learning_rate',
  'trainer.optimizer_config.warmup',
)

# Sections with a value for each of several types, of which one is chosen.
_TYPED_SECTIONS = {
  'optimizer': 'optimizer',
  'learning_rate': 'learning rate',
  'warmup': 'warm-up',
}


class Parsed(NamedTuple):
  """An experiment, and what made it differ from the registered one.

  Attributes:
    params: the experiment.
    base: the registered experiment with the published files, which the run starts from.
    changed: full names of the keys that other files or texts set, e.g. 'trainer.train_steps'.
  """

  params: cfg.ExperimentConfig
  base: cfg.ExperimentConfig
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
    config_files: YAML files with overrides, applied in order after the published ones; see `read`.
    params_override: texts with overrides, applied in order after the files; see
      `override_text.parse_text`.

  Raises:
    ConfigError: the experiment or a key is unknown, or a file or text cannot be read.
  """
  return parse_changes(experiment, *read(config_files, params_override))


def read(
  config_files: Sequence[str], params_override: str | Sequence[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
  """The overrides of the published ones among files and texts, and those of all others, in order.

  A published file (`experiment_files.is_published`) belongs to the experiment that a run starts
  from: its schedule is fitted to another batch or to other data, as that of a registered experiment
  is.

  Args:
    config_files: as for `parse`.
    params_override: as for `parse`; a text may be the path of a file.

  Raises:
    ConfigError: a file or text cannot be read.
  """
  texts = [params_override] if isinstance(params_override, str) else params_override
  published: list[dict[str, Any]] = []
  changes: list[dict[str, Any]] = []
  for read_one, items in (
    (override_text.read_file, config_files),
    (override_text.parse_text, texts),
  ):
    for item in items:
      kind = published if experiment_files.is_published(item.strip()) else changes
      kind.append(read_one(item))
  return published, changes


def parse_changes(
  experiment: str, published: Sequence[dict[str, Any]], changes: Sequence[dict[str, Any]]
) -> Parsed:
  """The experiment after overrides of published files and then others; see `parse`."""
  base, params = (starting_point(experiment, published) for _ in range(2))
  parsed = Parsed(params, base, apply_all(params, changes))
  of_files = map(overrides_lib.leaves, published)
  changed = parsed.changed.union(*of_files)
  _warn_of_values_without_effect(params, changed)
  if isinstance(params.task, task_config.HTCTask):  # Others are refused later, by name.
    suppression_values.warn_of_values_without_effect(params.task.model, changed)
  return parsed


def starting_point(experiment: str, published: Sequence[dict[str, Any]]) -> cfg.ExperimentConfig:
  """The registered experiment with the overrides of published files.

  Raises:
    ConfigError: the experiment or a key is unknown.
  """
  if experiment not in exp_factory._REGISTERED_CONFIGS:
    raise ConfigError(
      'The experiment is unknown',
      expected=f'one of {known_experiments()}',
      got=repr(experiment),
      likely_cause='a misspelled name',
    )
  params = exp_factory.get_exp_config(experiment)
  apply_all(params, published)
  return params


def _warn_of_values_without_effect(params: cfg.ExperimentConfig, changed: Iterable[str]) -> None:
  """Warn of values that have no effect, because they are those of a type that is not chosen.

  The published experiments once had the optimizer `sgd`, so that there are commands with such
  values; a published file may be combined with an experiment that has another kind of schedule.
  """
  for section, text in _TYPED_SECTIONS.items():
    chosen = getattr(params.trainer.optimizer_config, section).type
    prefix = f'trainer.optimizer_config.{section}'
    without_effect = [
      name
      for name in sorted(changed)
      if name.startswith(f'{prefix}.')
      and name != f'{prefix}.type'
      and not name.startswith(f'{prefix}.{chosen}.')
    ]
    if without_effect:
      logging.warning(
        '%s has no effect: the %s is %s. Set its value instead, or %s.type',
        ', '.join(without_effect),
        text,
        chosen,
        prefix,
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


def rescale_for_batch(parsed: Parsed) -> None:
  """Fit the schedule to a changed training batch size, unless a key of the schedule is set too.

  The schedule of a published file is fitted as that of a registered experiment is. The intervals of
  checkpoints and evaluations follow, except for one that is set.

  Args:
    parsed: the experiment after files and texts; its schedule is replaced.
  """
  params = parsed.params
  if not isinstance(params.task, task_config.HTCTask) or not _trains(params):
    return
  old = parsed.base.task.train_data.global_batch_size
  new = params.task.train_data.global_batch_size
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
