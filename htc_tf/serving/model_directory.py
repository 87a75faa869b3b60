"""What a training run leaves beside its checkpoints, and how to read it back."""

import os
from typing import Any

import tensorflow as tf
from official.core import config_definitions as cfg
from official.core import exp_factory
from official.modeling import hyperparams
from official.modeling.hyperparams import params_dict

from htc_tf import registry_imports  # noqa: F401
from htc_tf.configs import model_validation, validation
from htc_tf.configs.parsing import PARSE_ERRORS
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import CheckpointError, ConfigError, InputError

PARAMS_FILE = 'params.yaml'
DATASET_FILE = 'dataset.json'


def save_dataset_info(model_dir: str, info: DatasetInfo) -> None:
  """Keeps the categories a model is trained on beside its checkpoints.

  Raises:
    InputError: the directory cannot be made.
  """
  try:
    tf.io.gfile.makedirs(model_dir)
  except (tf.errors.FailedPreconditionError, tf.errors.PermissionDeniedError) as error:
    raise InputError(
      f'The model directory {model_dir} cannot be made',
      expected='a folder, new or of an earlier start',
      got=error.message,
      likely_cause='a file in its place, or a folder that may not be written',
    ) from error
  info.save(os.path.join(model_dir, DATASET_FILE))


def load_dataset_info(model_dir: str) -> DatasetInfo | None:
  """The categories of a model, or None where there is no record of them."""
  path = os.path.join(model_dir, DATASET_FILE)
  return DatasetInfo.load(path) if os.path.exists(path) else None


def load_experiment(
  model_dir: str, experiment: str | None = None, params_override: str = ''
) -> cfg.ExperimentConfig:
  """The configuration of a model directory or of a registered experiment.

  Of a model directory it has the task and `runtime.mixed_precision_dtype`.

  Args:
    model_dir: directory with the `params.yaml` of a training run; not read with `experiment`.
    experiment: name of a registered experiment to use instead.
    params_override: overrides of the experiment, as the training command takes them.

  Raises:
    CheckpointError: no `params.yaml` and no experiment given.
    ConfigError: a configuration that cannot be read or built.
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
      likely_cause='a misspelt name, a damaged params.yaml, or a run of another version',
    ) from error
  model_validation.validate_model(params.task.model)
  validation.validate_runtime(params.runtime)
  return params


def _read_params(model_dir: str) -> dict[str, Any]:
  """What a model needs of the `params.yaml` of its training run."""
  path = os.path.join(model_dir, PARAMS_FILE)
  if not tf.io.gfile.exists(path):
    raise CheckpointError(
      f'{model_dir} is no model directory',
      expected=f'a {PARAMS_FILE} in it',
      got='none',
      likely_cause='a bare checkpoint; name its experiment as well',
    )
  params = params_dict.read_yaml_to_params_dict(path).as_dict()
  precision = params.get('runtime', {}).get('mixed_precision_dtype')
  return {'task': params['task'], 'runtime': {'mixed_precision_dtype': precision}}
