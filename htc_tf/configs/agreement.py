"""Check that flags of the training command and overrides say the same."""

import operator
from collections.abc import Mapping
from typing import Any

from official.core import config_definitions as cfg

from htc_tf.configs import fitted_schedule
from htc_tf.data.dataset_folder import DatasetFolder
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import ConfigError

# The values that flags stand for.
_KEYS = {
  'batch_size': 'task.train_data.global_batch_size',
  'weights': 'task.init_checkpoint',
  'image_size': 'task.train_data.parser.max_size',
}
_TRAIN_PATH = 'task.train_data.input_path'


def check(
  flags: Mapping[str, Any],
  folder: DatasetFolder | None,
  params: cfg.ExperimentConfig,
  typed: frozenset[str],
) -> None:
  """Raise ConfigError if an override says something else than a flag.

  Args:
    flags: values of the flags that are given; see `shorthands.Shorthands`.
    folder: the records of `--data`; None without it.
    params: the experiment that flags and overrides describe.
    typed: names of the values that overrides set.
  """
  steps = fitted_schedule.TRAIN_STEPS
  if 'epochs' in flags and steps in typed:
    raise ConfigError(
      f'--epochs and {steps} do not go together',
      expected='one of them',
      got=f'--epochs={flags["epochs"]}, {params.trainer.train_steps} steps',
      likely_cause='an override in a file or in --params_override',
    )
  for name, key in _KEYS.items():
    value = operator.attrgetter(key)(params) if name in flags else None
    if value != flags.get(name):
      raise _disagree(name, key, flags[name], value)
  path = params.task.train_data.input_path
  # Other values are fitted to the records of the folder.
  if folder is not None and _TRAIN_PATH in typed and DatasetInfo.find(path) != folder.train:
    raise _disagree('data', _TRAIN_PATH, flags['data'], path)


def _disagree(name: str, key: str, flag: Any, value: Any) -> ConfigError:
  return ConfigError(
    f'--{name} and {key} disagree',
    expected='one of them, or equal values',
    got=f'--{name}={flag}, {key}={value}',
    likely_cause='an override in a file or in --params_override',
  )
