"""Initial weights of a training run."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from htc_tf import file_systems
from htc_tf.checkpoints import model_directory, object_graph, restoration
from htc_tf.configs import frozen_stages
from htc_tf.configs import model as model_config
from htc_tf.convert import class_rows, comparison, conversion, stem
from htc_tf.convert.checkpoint_file import Checkpoint, read_checkpoint
from htc_tf.convert.class_rows import Classes
from htc_tf.convert.coco_categories import COCO_CATEGORIES
from htc_tf.convert.variables import named_variables
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import CheckpointError, ConfigError
from htc_tf.modeling.factory import build_htc
from htc_tf.modeling.htc_model import HTCModel

# Suffixes of published files, which are converted; every other path is a TensorFlow checkpoint.
PUBLISHED_SUFFIXES = ('.pth', '.pt', '.pdparams', '.pth.zip')
_COCO = Classes(tuple(COCO_CATEGORIES.values()), 'stuff_maps')
_INSTANCES = 'instances'


class _Source(NamedTuple):
  """What the initial checkpoint knows about classes.

  Attributes:
    values: its arrays with an entry per class, by path of the variable.
    classes: its classes; None if they are unknown.
    adapted: paths of the kernels of stems that were adapted to the channels of the images.
  """

  values: Mapping[str, np.ndarray]
  classes: Classes | None
  adapted: Sequence[str] = ()


def initialize(
  model: HTCModel,
  path: str | None,
  modules: str | Sequence[str],
  classes: Classes | None = None,
  backbone: model_config.Backbone | None = None,
) -> None:
  """Load the weights that a run without checkpoints starts from.

  A published file is converted in memory; a converted folder and the directory of a training run
  are restored. If the classes differ, the layers with an entry per class start anew, except for the
  entries of classes of the same name. If the checkpoint is that of RGB images and the model reads
  other channels, its first convolution is adapted (`convert.stem`).

  Args:
    model: the model; its weights are changed.
    path: `task.init_checkpoint`: a checkpoint, a directory with checkpoints, or a published file.
      None keeps the random weights.
    modules: `task.init_checkpoint_modules`: 'all', or names of the parts to load.
    classes: classes of the training data; None if they are unknown.
    backbone: configuration of the model's backbone, which warnings about frozen layers name; None
      for a published ResNet.

  Raises:
    CheckpointError: the checkpoint is missing or has another configuration.
    ConfigError: `modules` names an unknown part.
  """
  backbone = backbone or model_config.Backbone()
  if not path:
    _report_random_weights(model, backbone)
    return
  parts = _part_names(model, modules)
  variables = named_variables(model)
  initial = _values_by_class(variables)
  if path.endswith(PUBLISHED_SUFFIXES):
    source = _load_published(model, path, parts)
  elif parts is None:
    source = _load_model(model, path)
  else:
    source = _load_parts(model, path, parts)
  _report_stems(model, source.adapted, backbone)
  if source.values and parts is None:
    _transfer_classes(variables, initial, source, classes, path)


def _report_random_weights(model: HTCModel, backbone: model_config.Backbone) -> None:
  """Log that the weights are random, and warn if some of them are frozen, so that they stay so."""
  trained = {id(variable) for variable in model.trainable_variables}
  frozen = [
    name
    for name, variable in named_variables(model).items()
    if name.endswith('kernel') and id(variable) not in trained
  ]
  logging.info('The training starts from random weights: task.init_checkpoint is not set')
  if frozen:
    logging.warning(
      '%d convolutions are frozen with random weights, such as %s. Pass --weights=FILE '
      '(task.init_checkpoint) with an ImageNet backbone, or train them: %s.',
      len(frozen),
      frozen[0],
      frozen_stages.how_to_train(backbone, has_weights=False),
    )


def _load_published(model: HTCModel, path: str, parts: Sequence[str] | None) -> _Source:
  checkpoint = read_checkpoint(path)
  allowed = comparison.Allowed(class_mismatch=True, absent_branches=True)
  values = conversion.class_values(checkpoint)
  result = conversion.convert_checkpoint(checkpoint, model, allowed, parts)
  logging.info('%s: %s', path, result.describe())
  return _Source(values, _published_classes(checkpoint, values), result.adapted)


def _published_classes(checkpoint: Checkpoint, values: Mapping[str, np.ndarray]) -> Classes | None:
  """The classes of COCO if the file has their number; published files do not name them."""
  sizes = {len(value) for path, value in values.items() if path.endswith('box_head/logits/bias')}
  if sizes == {len(_COCO.names) + 1}:
    return _COCO
  if sizes:
    logging.info(
      'The classes of %s are unknown: it has %s with the background', checkpoint.path, sizes
    )
  return None


def _load_model(model: HTCModel, path: str) -> _Source:
  """Restore a checkpoint of a whole model; one of other classes as far as it fits."""
  prefix = restoration.resolve(path)
  folder = file_systems.dirname(prefix)
  info = model_directory.load_dataset_info(folder)
  mismatch = object_graph.compare(prefix, {'model': model})
  adapted: Sequence[str] = ()
  if not mismatch.shapes:
    restoration.restore(prefix, {'model': model})
    values = _values_by_class(named_variables(model))
  else:
    other = _build_other_model(model, prefix, folder)
    adapted = _assign_fitting(named_variables(model), named_variables(other), prefix)
    values = _values_by_class(named_variables(other))
  return _Source(values, classes_of(info) if info else None, adapted)


def _values_by_class(variables: Mapping[str, tf.Variable]) -> dict[str, np.ndarray]:
  """The values of those variables that have an entry per class."""
  return {name: v.numpy() for name, v in variables.items() if class_rows.class_axis(name)}


def _build_other_model(model: HTCModel, prefix: str, folder: str) -> HTCModel:
  """The model in a directory, which differs from the one to fill."""
  if not file_systems.exists(os.path.join(folder, model_directory.PARAMS_FILE)):
    restoration.check_fits(prefix, {'model': model})  # Raises the differences.
  other = build_htc(model_directory.load_experiment(folder).task.model)
  restoration.restore(prefix, {'model': other})
  return other


def _load_parts(model: HTCModel, path: str, parts: Sequence[str]) -> _Source:
  """Restore parts of a model; the stem of a model of RGB images is adapted to other channels."""
  items = {name: model.checkpoint_items[name] for name in parts}
  prefix = restoration.resolve(path)
  folder = file_systems.dirname(prefix)
  has_params = file_systems.exists(os.path.join(folder, model_directory.PARAMS_FILE))
  if not has_params or not object_graph.compare(prefix, items).shapes:
    restoration.restore(path, items)
    return _Source({}, None)
  other = _build_other_model(model, prefix, folder)
  variables = {
    name: variable
    for name, variable in named_variables(model).items()
    if comparison.is_in(name, parts)
  }
  return _Source({}, None, _assign_fitting(variables, named_variables(other), prefix))


def _report_stems(model: HTCModel, paths: Sequence[str], backbone: model_config.Backbone) -> None:
  """Log which stems were adapted to the channels of the images, and warn if they are frozen."""
  for path in paths:
    logging.info('%s', stem.describe(path, model.num_channels))
    kernel = named_variables(model)[path]
    if not any(kernel is variable for variable in model.trainable_variables):
      logging.warning(
        '%s is frozen, with weights that are the same for all %d channels: the model cannot learn '
        'to tell channels apart. To train it, set %s.',
        path,
        model.num_channels,
        frozen_stages.how_to_train(backbone, has_weights=True),
      )


def _assign_fitting(
  variables: Mapping[str, tf.Variable], others: Mapping[str, tf.Variable], prefix: str
) -> list[str]:
  """Assign variables except for those with an entry per class.

  Returns:
    The paths of the kernels of stems that were adapted to other channels.

  Raises:
    CheckpointError: a variable has no value, or one of another shape; nothing is assigned.
  """
  values = {}
  wrong = []
  adapted: list[str] = []
  for name, variable in variables.items():
    if class_rows.class_axis(name) is not None:
      continue
    saved = others[name].shape.as_list() if name in others else None
    if saved == variable.shape.as_list():
      values[name] = others[name].numpy()
    elif stem.is_of_rgb(name, saved, variable.shape.as_list()):
      values[name] = stem.adapted(others[name].numpy(), variable.shape[2])
      adapted.append(name)
    else:
      wrong.append(
        f'{name}: {saved or "nothing"} in the checkpoint, {list(variable.shape)} in the model'
      )
  if wrong:
    raise CheckpointError(
      f'{prefix} has another configuration',
      expected='the model of the run, except for the number of classes, and of channels if the '
      'checkpoint is that of RGB images',
      got='; '.join(wrong[:8]) + (f'; and {len(wrong) - 8} more' if len(wrong) > 8 else ''),
      likely_cause='another backbone or number of stages; use the params.yaml of the checkpoint as '
      '--config_file, or load parts of it with task.init_checkpoint_modules',
    )
  for name, value in values.items():
    variables[name].assign(value)
  return adapted


def _transfer_classes(
  variables: Mapping[str, tf.Variable],
  initial: Mapping[str, np.ndarray],
  source: _Source,
  classes: Classes | None,
  path: str,
) -> None:
  """Give each class the weights of the class of the same name, or its initial ones."""
  if source.classes is None or classes is None:
    _assign_in_order(variables, initial, source, path)
    return
  transfer = class_rows.match_names(source.classes.names, classes.names)
  maps = {source.classes.semantic_source, classes.semantic_source}
  same_maps = len(maps) == 1 or None in maps  # An unknown kind is taken to be the same.
  same_semantic = maps == {_INSTANCES}
  if source.classes.names == classes.names:
    logging.info('%s has the classes of the training data', path)
  else:
    logging.info('%s', class_rows.describe(source.classes.names, classes.names, transfer))
  for name, start in initial.items():
    old = source.values.get(name)
    if old is None:
      continue
    value = class_rows.transferred(name, start, old, transfer, same_semantic)
    if value is None and same_maps and old.shape == start.shape:
      value = old  # Semantic classes that are not those of the instances, such as COCO-stuff.
    variables[name].assign(start if value is None else value)
    if value is None:
      logging.info('%s starts anew: %s in the checkpoint', name, list(old.shape))


def _assign_in_order(
  variables: Mapping[str, tf.Variable],
  initial: Mapping[str, np.ndarray],
  source: _Source,
  path: str,
) -> None:
  """Keep the layers with the same number of classes, if the names of the classes are unknown."""
  anew = []
  for name, start in initial.items():
    old = source.values.get(name)
    if old is not None and old.shape == start.shape:
      variables[name].assign(old)
    else:
      anew.append(name)
  logging.warning(
    'The names of the classes of %s or of the training data are unknown: their order is taken to '
    'be the same. These layers have another number of classes and start anew: %s',
    path,
    ', '.join(anew) or 'none',
  )


def classes_of(info: DatasetInfo) -> Classes:
  """The classes of a data set."""
  return Classes(tuple(info.category_names), info.semantic.source if info.semantic else None)


def _part_names(model: HTCModel, modules: str | Sequence[str]) -> list[str] | None:
  """Names of the parts to load; None for the whole model."""
  if modules == 'all':
    return None
  names = [modules] if isinstance(modules, str) else list(modules)
  unknown = [name for name in names if name not in model.checkpoint_items]
  if unknown:
    raise ConfigError(
      'task.init_checkpoint_modules names unknown parts',
      expected=f"'all' or some of {sorted(model.checkpoint_items)}",
      got=str(unknown),
    )
  return names
