"""Comparison of a run with the one whose checkpoint it would continue.

The model directory records configuration and categories of its run. Another number of classes,
other categories, another batch or learning rate would make a good model unusable or its schedule
meaningless, so a run that differs in them is refused before anything is written.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf
from absl import logging
from official.core import config_definitions as cfg
from official.modeling import optimization

from htc_tf.checkpoints import last_good, model_directory, momentum
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import ConfigError, DataError

_MAX_LISTED = 10
_RATE_SAMPLES = 200
_TOLERANCE = 1e-6
# Its height and width may change.
_INPUT_SIZE = 'task.model.input_size'
# Parts of the model's configuration that a run may change; all others define the model.
_CHANGEABLE = (
  'task.model.detection_generator.',
  'task.model.rpn_sampler.',
  'task.model.roi_generator.',
  'task.model.cascade.num_sampled_rois',
  'task.model.cascade.positive_fraction',
  'task.model.cascade.match_low_quality',
  'task.model.cascade.sampling_rule',
  'task.model.cascade.recompute_masks',
  *(
    f'task.model.backbone.{backbone}.{name}'
    for backbone in ('published_resnet', 'published_hrnet')
    for name in ('recompute', 'frozen_stages', 'norm_eval')
  ),
  'task.model.backbone.published_resnet.train_norms',
  *(
    f'task.model.backbone.published_swin.{name}'
    for name in ('recompute', 'frozen_stages', 'drop_path_rate')
  ),
)
# Devices and threads may differ from start to start.
_SECTIONS = ('task.', 'trainer.', 'runtime.mixed_precision_dtype', 'runtime.loss_scale')
# The start of a run sets these.
_DERIVED = (
  'task.train_data.seed',
  'task.train_data.deterministic',
  'task.train_data.permutation_seed',
  'task.train_data.num_read',
  'task.train_data.label_map',
  'task.train_data.semantic_label_map',
)
_BATCH = 'task.train_data.global_batch_size'
_OPTIMIZER = 'trainer.optimizer_config.'
_OPTIMIZER_TYPE = f'{_OPTIMIZER}optimizer.type'
_SGD_TYPES = {'sgd', 'published_sgd'}
_SCHEDULE = (f'{_OPTIMIZER}learning_rate.', f'{_OPTIMIZER}warmup.')
_LENGTH = 'trainer.train_steps'


def check_continues(
  model_dir: str, prefix: str | None, params: cfg.ExperimentConfig, info: DatasetInfo
) -> None:
  """Check that a run can continue from a checkpoint; changes that may be intended are logged.

  Args:
    model_dir: the model directory.
    prefix: prefix of the checkpoint; None for a new run, which fits every directory.
    params: the experiment of the run.
    info: categories of its training records.

  Raises:
    ConfigError: the model differs, or in mid-run the batch, the optimizer or the learning rate of
      the steps so far. The length of the training may differ, and so may the learning rate of later
      steps.
    DataError: the categories differ.
  """
  if prefix is None:
    return
  saved_info = model_directory.load_dataset_info(model_dir)
  if saved_info is not None:
    _check_categories(saved_info, info, model_dir, prefix)
  saved = model_directory.load_run(model_dir)
  if saved is None:
    logging.warning(
      '%s has no %s: only the variables of %s are compared with the model',
      model_dir,
      model_directory.PARAMS_FILE,
      prefix,
    )
    return
  step = last_good.step_of(prefix)
  chosen = params.trainer.optimizer_config.optimizer.type
  differences = {
    name: values
    for name, values in _differences(saved.as_dict(), params.as_dict())
    if not _is_of_other_optimizer(name, chosen)
  }
  refused = [name for name in differences if _defines_model(name, *differences[name])]
  if step:
    refused += [name for name in differences if name == _BATCH or _is_optimizer(name)]
    if not _same_rate_so_far(saved, params, step):
      refused += [name for name in differences if name.startswith(_SCHEDULE)]
  if refused:
    raise _other_run(model_dir, prefix, refused, differences)
  kept = [name for name in differences if name.startswith(_SECTIONS) and name not in _DERIVED]
  if kept:
    logging.warning('This start differs from the one before: %s', _list(kept, differences))


def _defines_model(name: str, old: Any, new: Any) -> bool:
  if name == _INPUT_SIZE:
    return old[2:] != new[2:]  # The number of channels, on which the first convolution depends.
  return name.startswith('task.model.') and not name.startswith(_CHANGEABLE)


def _is_optimizer(name: str) -> bool:
  return name.startswith(_OPTIMIZER) and not name.startswith(_SCHEDULE)


def _is_of_other_optimizer(name: str, chosen: str) -> bool:
  """Whether a value is one of an optimizer that is not the chosen one, so that it has no effect."""
  return name.startswith(f'{_OPTIMIZER}optimizer.') and not (
    name == _OPTIMIZER_TYPE or name.startswith(f'{_OPTIMIZER}optimizer.{chosen}.')
  )


def _differences(old: Any, new: Any, name: str = '') -> Iterator[tuple[str, tuple[Any, Any]]]:
  """(name, (old value, new value)) of every value that differs between nested dictionaries."""
  if isinstance(old, Mapping) and isinstance(new, Mapping):
    for key in dict.fromkeys([*old, *new]):
      yield from _differences(old.get(key), new.get(key), f'{name}.{key}' if name else key)
  elif _has_sections(old) and _has_sections(new):
    if len(old) != len(new):
      yield f'{name} (number)', (len(old), len(new))
    for index, entries in enumerate(zip(old, new)):
      yield from _differences(*entries, f'{name}[{index}]')
  elif _plain(old) != _plain(new):
    yield name, (old, new)


def _has_sections(value: Any) -> bool:
  """Whether a value is a list of dictionaries, such as stages."""
  return isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value)


def _plain(value: Any) -> Any:
  """The value with tuples as lists, as YAML stores them."""
  return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _list(names: list[str], differences: Mapping[str, tuple[Any, Any]]) -> str:
  lines = [
    f'{name}: {differences[name][0]!r} before, {differences[name][1]!r} now' for name in names
  ]
  rest = len(lines) - _MAX_LISTED
  return '; '.join(lines[:_MAX_LISTED]) + (f'; and {rest} more' if rest > 0 else '')


def _same_rate_so_far(old: cfg.ExperimentConfig, new: cfg.ExperimentConfig, num_steps: int) -> bool:
  """Whether two learning rates agree for the first `num_steps` steps."""
  schedules = [_learning_rate(params) for params in (old, new)]
  steps = sorted({round(i * (num_steps - 1) / _RATE_SAMPLES) for i in range(_RATE_SAMPLES + 1)})
  for step in tf.constant(steps, tf.int64):
    rates = [float(rate(step) if callable(rate) else rate) for rate in schedules]
    if abs(rates[0] - rates[1]) > _TOLERANCE * max(map(abs, rates)):
      return False
  return True


def _learning_rate(params: cfg.ExperimentConfig) -> Any:
  return optimization.OptimizerFactory(params.trainer.optimizer_config).build_learning_rate()


def _other_run(
  model_dir: str, prefix: str, names: list[str], differences: Mapping[str, tuple[Any, Any]]
) -> ConfigError:
  return ConfigError(
    f'{model_dir} holds a run of another configuration',
    expected=f'the values with which {os.path.basename(prefix)} was trained',
    got=_list(names, differences),
    likely_cause=_cause(prefix, names, differences),
  )


def _cause(prefix: str, names: list[str], differences: Mapping[str, tuple[Any, Any]]) -> str:
  """Why a run differs from the one before, and what to do."""
  if _LENGTH in differences and all(name.startswith(_SCHEDULE) for name in names):
    old, new = differences[_LENGTH]
    return (
      f'another length of the training, {old} steps before and {new} now, such as by --epochs or '
      'by another number of images. The learning rate of all steps depends on it, also of those '
      'that are done. To continue the run, give the old length; to train these weights further, '
      f'start a new run from them with a new --model_dir and --weights={prefix} '
      f'(task.init_checkpoint={prefix}). Nothing was changed'
    )
  if set(differences.get(_OPTIMIZER_TYPE, ())) == _SGD_TYPES:
    return momentum.HOW_TO_GO_ON.format(prefix=prefix)
  return (
    'a model directory that is used again. To continue its run, give the old values; for another '
    'one, name a new --model_dir, and to start from these weights set '
    f'task.init_checkpoint={prefix}. Nothing was changed'
  )


def _check_categories(old: DatasetInfo, new: DatasetInfo, model_dir: str, prefix: str) -> None:
  if new.label_map(old) is not None:
    return
  raise DataError(
    f'{model_dir} holds a model of other categories than the training records',
    expected=_names(old),
    got=_names(new),
    likely_cause='records of another data set. Name a new --model_dir; to start from these '
    f'weights, set task.init_checkpoint={prefix}: classes of the same name are kept. Nothing was '
    'changed',
  )


def _names(info: DatasetInfo) -> str:
  """The categories in the order of their labels, e.g. `1 cat, 7 dog`."""
  return ', '.join(f'{category.id} {category.name}' for category in info.categories)
