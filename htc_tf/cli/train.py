"""Trains and evaluates by Model Garden's driver, after checking the whole configuration."""

import json
from typing import List

from absl import app
from absl import flags
from absl import logging
from official.common import flags as tfm_flags
from official.core import exp_factory
from official.core import train_utils
from official.vision import train as model_garden_train
import tensorflow as tf
import yaml

from htc_tf import registry_imports  # pylint: disable=unused-import
from htc_tf.configs import schedule
from htc_tf.configs import task as task_config
from htc_tf.configs import validation
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import ConfigError
from htc_tf.errors import HTCError
from htc_tf.serving import model_directory

FLAGS = flags.FLAGS
_EXIT_USAGE = 2


def known_experiments() -> List[str]:
  """Names of the registered HTC experiments."""
  names = exp_factory._REGISTERED_CONFIGS  # pylint: disable=protected-access
  return sorted(name for name, make in names.items() if make.__module__.startswith('htc_tf'))


def parse_configuration(flags_obj):
  """The experiment the flags describe, or one clear error.

  Raises:
    ConfigError: unknown experiment or key, or a value of the wrong type.
  """
  if flags_obj.experiment not in exp_factory._REGISTERED_CONFIGS:  # pylint: disable=protected-access
    raise ConfigError('The experiment is unknown', expected=f'one of {known_experiments()}',
                      got=repr(flags_obj.experiment), likely_cause='a misspelt name')
  try:
    return train_utils.parse_configuration(flags_obj, lock_return=False, print_return=False)
  except (KeyError, TypeError, ValueError, OSError, tf.errors.OpError, yaml.YAMLError) as error:
    raise ConfigError(
        'The configuration cannot be read', expected='keys and types of the experiment, in '
        'YAML files (--config_file) or key=value pairs (--params_override)',
        got=str(error).strip('"\''), likely_cause='a misspelt key or file name') from error


def rescale_for_batch(flags_obj, params) -> None:
  """Fits the schedule to another training batch than the experiment's, unless it was given too."""
  base = exp_factory.get_exp_config(flags_obj.experiment)
  old, new = base.task.train_data.global_batch_size, params.task.train_data.global_batch_size
  if old == new or params.trainer.as_dict() != base.trainer.as_dict():
    return
  overrides = {'trainer': schedule.rescaled(params.trainer, old, new)}
  logging.info('Schedule of %d images a step fitted to %d: %s', old, new, overrides)
  params.override(overrides)
  flags_obj.config_file = list(flags_obj.config_file or []) + [json.dumps(overrides)]


def main(argv) -> None:
  """Checks, then hands over to Model Garden."""
  try:
    params = parse_configuration(FLAGS)
    if isinstance(params.task, task_config.HTCTask) and new_batch_is_valid(params):
      rescale_for_batch(FLAGS, params)
    validation.validate_experiment(params, FLAGS.mode)
    if 'train' in FLAGS.mode:
      info = DatasetInfo.find(params.task.train_data.input_path)
      model_directory.save_dataset_info(FLAGS.model_dir, info)
    model_garden_train.main(argv)
  except HTCError as error:
    logging.error('%s', error)
    raise SystemExit(_EXIT_USAGE) from error


def new_batch_is_valid(params) -> bool:
  """Whether the training batch is a number the schedule can be fitted to."""
  return params.task.train_data.global_batch_size > 0


def run() -> None:
  """Console entry point."""
  tfm_flags.define_flags()
  flags.mark_flags_as_required(['experiment', 'mode', 'model_dir'])
  app.run(main)
