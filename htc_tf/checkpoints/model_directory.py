"""Configuration and classes that a model directory stores beside its checkpoints."""

import os
from collections.abc import Sequence

from official.core import config_definitions as cfg
from official.core import exp_factory
from official.modeling import hyperparams

from htc_tf import file_errors, file_systems, files
from htc_tf.configs import (
  experiments,  # noqa: F401  Registers experiments.
  model_validation,
  override_text,
  overrides,
  parsing,
  sizes,  # noqa: F401
  suppression_values,
  validation,
)
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import CheckpointError, ConfigError

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
  create(model_dir)
  info.save(os.path.join(model_dir, DATASET_FILE))


def create(model_dir: str) -> None:
  """Create a model directory if it is missing; raise InputError if that is not possible."""
  with file_errors.as_input_errors():
    file_systems.make_folders(model_dir)


def load_dataset_info(model_dir: str) -> DatasetInfo | None:
  """The classes of a model; None if the directory does not record them."""
  path = os.path.join(model_dir, DATASET_FILE)
  return DatasetInfo.load(path) if file_systems.exists(path) else None


def save_params(model_dir: str, params: cfg.ExperimentConfig) -> None:
  """Write a resolved configuration to `params.yaml`, completely or not at all."""
  with files.replaced_when_written(os.path.join(model_dir, PARAMS_FILE)) as path:
    hyperparams.save_params_dict_to_yaml(params, path)


def copy_description(model_dir: str, folder: str) -> None:
  """Copy configuration and classes to a folder that holds other checkpoints of the same model.

  Prediction and export then accept the folder as a model directory. Each file is replaced at once.

  Args:
    model_dir: the model directory; what it lacks is not copied.
    folder: an existing folder.
  """
  for name in (PARAMS_FILE, DATASET_FILE):
    source, target = os.path.join(model_dir, name), os.path.join(folder, name)
    if file_systems.exists(source):
      files.write_bytes(target, file_systems.read_bytes(source))


def load_experiment(
  model_dir: str, experiment: str | None = None, params_override: str | Sequence[str] = ''
) -> cfg.ExperimentConfig:
  """The configuration of a model directory or of a registered experiment.

  Only the task and `runtime.mixed_precision_dtype` come from a model directory.

  Args:
    model_dir: directory with the `params.yaml` of a training run; ignored if `experiment` is given.
    experiment: name of a registered experiment to use instead.
    params_override: text or texts with overrides, as the training command takes them.

  Raises:
    CheckpointError: there is no `params.yaml`, and no experiment is given.
    ConfigError: the configuration cannot be read, or is not valid.
    InputError: the operating system refuses to read `params.yaml`.
  """
  changes = parsing.parse_texts(params_override)
  if experiment:
    params = parsing.parse(experiment).params
  else:
    params = exp_factory.get_exp_config('htc_resnet50fpn_1x_coco')
    _apply_saved(params, model_dir)
  changed = parsing.apply_all(params, changes)
  model_validation.validate_model(params.task.model)
  suppression_values.warn_of_values_without_effect(params.task.model, changed)
  validation.validate_runtime(params.runtime)
  return params


def load_run(model_dir: str) -> cfg.ExperimentConfig | None:
  """The whole configuration of a training run; None if the directory does not record it.

  Raises:
    ConfigError: the file cannot be read, or is not the configuration of an experiment.
  """
  path = os.path.join(model_dir, PARAMS_FILE)
  if not file_systems.exists(path):
    return None
  params = exp_factory.get_exp_config('htc_resnet50fpn_1x_coco')
  try:
    overrides.apply(params, override_text.read_file(path))
  except ConfigError as error:
    raise _not_a_run(path, error) from error
  return params


def _not_a_run(path: str, error: Exception) -> ConfigError:
  return ConfigError(
    f'{path} is not the configuration of a run',
    expected='the file that a training run or a conversion writes',
    got=str(error),
    likely_cause='a damaged file, an edit by hand, or a run of another version of htc_tf',
  )


def _apply_saved(params: cfg.ExperimentConfig, model_dir: str) -> None:
  """Apply the part of `params.yaml` that a model needs."""
  path = os.path.join(model_dir, PARAMS_FILE)
  if not file_systems.exists(path):
    raise CheckpointError(
      f'{model_dir} is not a model directory',
      expected=f'a {PARAMS_FILE} in it',
      got='none',
      likely_cause='a bare checkpoint; name its experiment as well',
    )
  try:
    content = override_text.read_file(path)
    precision = content.get('runtime', {}).get('mixed_precision_dtype')
    saved = {'task': content['task'], 'runtime': {'mixed_precision_dtype': precision}}
    overrides.apply(params, saved)
  except (AttributeError, LookupError, ConfigError) as error:
    raise _not_a_run(path, error) from error
