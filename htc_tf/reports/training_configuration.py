"""The configuration whose training pipeline `htc-show` shows."""

import dataclasses
import os
from collections.abc import Sequence
from typing import NamedTuple

from official.core import config_definitions as cfg

from htc_tf import registry_imports  # noqa: F401
from htc_tf.checkpoints import model_directory
from htc_tf.configs import data_validation, model_validation, parsing, validation
from htc_tf.configs import task as task_config
from htc_tf.configs.shorthands import Shorthands, experiment_name, resolve
from htc_tf.data import dataset_info
from htc_tf.data.augmentation.registry import build_augmentations
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.evaluation.ground_truth import distinct_names
from htc_tf.modeling import precision


class TrainingConfiguration(NamedTuple):
  """A task for the records, and where it comes from.

  Attributes:
    task: configuration of the task; its training data are the records.
    source: name of the experiment or path of the model directory.
    names: names of the classes of the model, class 1 first.
    dtype: type of the images.
  """

  task: task_config.HTCTask
  source: str
  names: list[str]
  dtype: str

  @property
  def combines(self) -> bool:
    """Whether training images get parts of other ones."""
    values = self.task.train_data.parser.augmentation.as_dict()
    return any(augmentation.combines for augmentation in build_augmentations(values))


def training_configuration(
  info: DatasetInfo,
  paths: Sequence[str],
  shorthands: Shorthands,
  model_dir: str = '',
  experiment: str = '',
  params_override: str | Sequence[str] = (),
) -> TrainingConfiguration:
  """The configuration with which `htc-train --data` would train on records.

  Args:
    info: metadata of the records.
    paths: paths of their shards.
    shorthands: the flags of the training command that choose the size of model and images; its
      `data` are not used.
    model_dir: directory of a run whose configuration is used; empty: that of the flags.
    experiment: name of a registered experiment in the place of a size.
    params_override: overrides in the form of the training command.

  Raises:
    CheckpointError: the model directory has no configuration.
    ConfigError: the configuration cannot be used, or does not fit the records.
    DataError: the metadata of the model directory is damaged.
  """
  classes = None
  if model_dir:
    params = model_directory.load_experiment(model_dir, experiment or None, params_override)
    classes = model_directory.load_dataset_info(model_dir)
    source = model_dir
  else:
    name = source = experiment_name(_with_data(shorthands, info), experiment)
    params = _fitted(info, shorthands, name, params_override)
    model_validation.validate_model(params.task.model)
    validation.validate_runtime(params.runtime)
  data = params.task.train_data
  data.input_path = list(paths)
  data.label_map, data.semantic_label_map = _label_maps(info, classes)
  data_validation.validate_data(data, params.task.model, 'task.train_data', classes)
  return TrainingConfiguration(
    params.task,
    source,
    list(distinct_names((classes or info).category_names, (classes or info).category_ids)),
    data.dtype or precision.image_dtype(params.runtime.mixed_precision_dtype),
  )


def _with_data(shorthands: Shorthands, info: DatasetInfo) -> Shorthands:
  return dataclasses.replace(shorthands, data=info.folder or '.')


def _fitted(
  info: DatasetInfo, shorthands: Shorthands, experiment: str, params_override: str | Sequence[str]
) -> cfg.ExperimentConfig:
  """An experiment fitted to the training records in the folder of `info`, if there are some."""
  train = dataset_info.find_all(os.path.join(info.folder, 'train-*.tfrecord')).get('train')
  if train is not None and train.statistics is not None:
    parsed, _ = resolve(_with_data(shorthands, info), experiment, (), params_override)
    return parsed.params
  params = parsing.parse(experiment).params
  _fit_to(info, params)
  parsing.apply_all(params, parsing.parse_texts(params_override))
  return params


def _fit_to(info: DatasetInfo, params: cfg.ExperimentConfig) -> None:
  """Let a model have the classes, masks and semantic maps of records."""
  model = params.task.model
  model.num_classes = info.num_classes
  model.include_mask = model.include_mask and info.include_masks
  model.semantic_head.enabled = model.semantic_head.enabled and info.semantic is not None
  if info.semantic is not None:
    model.semantic_head.num_classes = info.semantic.num_classes


def _label_maps(info: DatasetInfo, classes: DatasetInfo | None) -> tuple[list[int], list[int]]:
  """Labels of the model for the labels of the records, if the model has further categories."""
  if classes is None or classes.categories == info.categories:
    return [], []
  labels = info.label_map(classes) or []
  is_semantic = info.semantic is not None and info.semantic.source == 'instances'
  return labels, labels if is_semantic else []
