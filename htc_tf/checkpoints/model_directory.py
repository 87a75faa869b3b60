"""Configuration and classes that a model directory stores beside its checkpoints."""

import os
from typing import Any

from official.core import config_definitions as cfg
from official.core import exp_factory
from official.modeling import hyperparams
from official.modeling.hyperparams import params_dict

from htc_tf import file_systems, files
from htc_tf.configs import (
  experiments,  # noqa: F401  Registers the experiments.
  model_validation,
  validation,
)
from htc_tf.configs.parsing import PARSE_ERRORS
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import CheckpointError, ConfigError, InputError

PARAMS_FILE = 'params.yaml'
DATASET_FILE = 'dataset.json'


def save_dataset_info(model_dir: str, info: DatasetInfo) -> None:
  """Write the classes of a model beside its checkpoints.

  Args:
    model_dir: the model directory; it is created if it is missing.
    info: description of the data set that the model is trained on.

  Raises:
    InputError: the directory cannot be created.
  """
  try:
    file_systems.make_folders(model_dir)
  except OSError as error:
    raise InputError(
      f'The model directory {model_dir} cannot be created',
      expected='a new folder, or the folder of an earlier start',
      got=error.strerror or str(error),
      likely_cause='a file of that name, or a parent folder without write permission',
    ) from error
  info.save(os.path.join(model_dir, DATASET_FILE))


def load_dataset_info(model_dir: str) -> DatasetInfo | None:
  """The classes of a model; None if the directory does not record them."""
  path = os.path.join(model_dir, DATASET_FILE)
  return DatasetInfo.load(path) if file_systems.exists(path) else None


def save_params(model_dir: str, params: cfg.ExperimentConfig) -> None:
  """Write a resolved configuration to `params.yaml`, completely or not at all."""
  with files.replaced_when_written(os.path.join(model_dir, PARAMS_FILE)) as path:
    hyperparams.save_params_dict_to_yaml(params, path)


def load_experiment(
  model_dir: str, experiment: str | None = None, params_override: str = ''
) -> cfg.ExperimentConfig:
  """The configuration of a model directory or of a registered experiment.

  Only the task and `runtime.mixed_precision_dtype` come from a model directory.

  Args:
    model_dir: directory with the `params.yaml` of a training run; ignored if `experiment` is given.
    experiment: name of a registered experiment to use instead.
    params_override: overrides of the configuration, as the training command takes them.

  Raises:
    CheckpointError: there is no `params.yaml`, and no experiment is given.
    ConfigError: the configuration cannot be read, or is not valid.
  """
  try:
    params = exp_factory.get_exp_config(experiment or 'htc_resnet50fpn_1x_coco')
    if not experiment:
      params.override(_read_params(model_dir))
    params = hyperparams.override_params_dict(params, params_override, is_strict=True)
  except CheckpointError:
    raise
  except PARSE_ERRORS as error:
    raise ConfigError(
      'The configuration cannot be read',
      expected='a registered experiment and its keys',
      got=str(error).strip('"\''),
      likely_cause='a misspelled name, a damaged params.yaml, or a run of another version',
    ) from error
  model_validation.validate_model(params.task.model)
  validation.validate_runtime(params.runtime)
  return params


def _read_params(model_dir: str) -> dict[str, Any]:
  """The part of `params.yaml` that a model needs."""
  path = os.path.join(model_dir, PARAMS_FILE)
  if not file_systems.exists(path):
    raise CheckpointError(
      f'{model_dir} is not a model directory',
      expected=f'a {PARAMS_FILE} in it',
      got='none',
      likely_cause='a bare checkpoint; name its experiment as well',
    )
  params = params_dict.read_yaml_to_params_dict(path).as_dict()
  precision = params.get('runtime', {}).get('mixed_precision_dtype')
  return {'task': params['task'], 'runtime': {'mixed_precision_dtype': precision}}
