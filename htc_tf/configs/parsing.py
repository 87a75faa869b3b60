"""Parsing of the flags of a command into the configuration of an experiment."""

import tensorflow as tf
import yaml
from absl import flags, logging
from official.core import config_definitions as cfg
from official.core import exp_factory, train_utils

from htc_tf.configs import schedule
from htc_tf.configs import task as task_config
from htc_tf.errors import ConfigError

# Errors that Model Garden raises for a configuration that it cannot read, e.g. AttributeError for a
# YAML file without a mapping.
PARSE_ERRORS = (
  AttributeError,
  LookupError,
  TypeError,
  ValueError,
  OSError,
  tf.errors.OpError,
  yaml.YAMLError,
)


def known_experiments() -> list[str]:
  """Names of the registered HTC experiments."""
  names = exp_factory._REGISTERED_CONFIGS
  return sorted(name for name, make in names.items() if make.__module__.startswith('htc_tf'))


def parse_configuration(
  flags_obj: flags.FlagValues | train_utils.ParseConfigOptions,
) -> cfg.ExperimentConfig:
  """The experiment that the flags describe.

  Args:
    flags_obj: object with Model Garden's flags `experiment`, `config_file`, `params_override`, ...
      as attributes. The experiments must have been registered (`registry_imports`).

  Raises:
    ConfigError: the experiment or a key is unknown, a value has the wrong type, or a file cannot be
      read.
  """
  names = exp_factory._REGISTERED_CONFIGS
  if flags_obj.experiment not in names:
    raise ConfigError(
      'The experiment is unknown',
      expected=f'one of {known_experiments()}',
      got=repr(flags_obj.experiment),
      likely_cause='a misspelled name',
    )
  try:
    return train_utils.parse_configuration(flags_obj, lock_return=False, print_return=False)
  except PARSE_ERRORS as error:
    raise ConfigError(
      'The configuration cannot be read',
      expected='keys and types of the experiment, in '
      'YAML files (--config_file) or key=value pairs (--params_override)',
      got=str(error).strip('"\''),
      likely_cause='a misspelled key or file name, or a file without keys',
    ) from error


def rescale_for_batch(experiment: str, params: cfg.ExperimentConfig) -> None:
  """Fit the schedule to a changed training batch size, unless the schedule was changed as well.

  Args:
    experiment: name of the registered experiment.
    params: the experiment after files and overrides; its schedule is replaced.
  """
  if not isinstance(params.task, task_config.HTCTask) or not _trains(params):
    return
  base = exp_factory.get_exp_config(experiment)
  old, new = base.task.train_data.global_batch_size, params.task.train_data.global_batch_size
  if old == new or params.trainer.as_dict() != base.trainer.as_dict():
    return
  overrides = {'trainer': schedule.rescaled(params.trainer, old, new)}
  logging.info(
    'The schedule is for %d images per step and was fitted to %d: %s. To train with another '
    'schedule, set any value of trainer.',
    old,
    new,
    overrides,
  )
  params.override(overrides)


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
  return params.task.train_data.global_batch_size > 0
