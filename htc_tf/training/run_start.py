"""Checks of a model directory before a run starts, and the record of the start."""

import contextlib
import os

from absl import logging
from official.core import config_definitions as cfg

from htc_tf import file_locks, file_systems
from htc_tf.checkpoints import last_good, model_directory
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import DataError
from htc_tf.tasks.htc import HTCTask
from htc_tf.training import run_guard, run_record

# A run that was stopped to be started again may still be writing its checkpoint.
_SECONDS_OF_STOPPED_RUN = 30


def prepare(
  mode: str, model_dir: str, params: cfg.ExperimentConfig, held: contextlib.ExitStack
) -> str | None:
  """Check that a run fits its model directory, and prepare it for the trainer.

  Of several workers, only one may do so. For training, this process reserves the directory, and the
  last readable checkpoint becomes the one to continue from. For evaluation, the annotations are
  read only to raise their errors now; otherwise they would appear at the first evaluation, after
  hours of training. Nothing is changed if an error is raised.

  Args:
    mode: mode of the trainer.
    model_dir: the model directory.
    params: the experiment.
    held: receives the lock of the directory, which ends with the training.

  Returns:
    The prefix of the checkpoint that the trainer restores; None if there is none.

  Raises:
    CheckpointError: there is no checkpoint that the run can continue from or evaluate; see
      `last_good`.
    ConfigError: the directory holds a run of another configuration; see `run_guard`; or another
      process trains in it.
    DataError: the metadata of the records is missing, the records have no instance or other
      categories than the run so far, or the model cannot be evaluated with the annotations.
  """
  if 'eval' in mode:
    # An evaluation alone has the categories that the model directory records.
    directory = None if 'train' in mode else model_dir
    HTCTask(params.task, directory).build_evaluator()
  if 'train' not in mode:
    return last_good.prepare_to_evaluate(model_dir, mode, params.task.init_checkpoint)
  info = _trainable_info(params)
  model_directory.create(model_dir)
  held.enter_context(_reserved(model_dir))
  prefix = last_good.prepare_to_continue(
    model_dir, lambda prefix: run_guard.check_continues(model_dir, prefix, params, info)
  )
  _map_labels(params, info, classes_so_far(model_dir) or info)
  return prefix


def _reserved(model_dir: str) -> contextlib.AbstractContextManager[None]:
  """The lock of a model directory; a remote directory has none."""
  if file_systems.is_remote(model_dir):
    return contextlib.nullcontext()
  return file_locks.exclusive(
    os.path.join(model_dir, '.training.lock'),
    work=f'trains in the model directory {model_dir}',
    elsewhere='another --model_dir',
    seconds=_SECONDS_OF_STOPPED_RUN,
  )


def classes_so_far(model_dir: str) -> DatasetInfo | None:
  """The classes of the run in a model directory; None if it has no checkpoint or names none."""
  has_run = last_good.has_checkpoint(model_dir)
  return model_directory.load_dataset_info(model_dir) if has_run else None


def _map_labels(params: cfg.ExperimentConfig, info: DatasetInfo, classes: DatasetInfo) -> None:
  """Let a training give the labels of its model to records of some of the categories."""
  labels: list[int] = []
  if classes.categories != info.categories:
    labels = info.label_map(classes) or []
    logging.info(
      'The records have %d of the %d categories of the model, whose labels they get: %s',
      len(info.categories),
      len(classes.categories),
      ', '.join(info.category_names),
    )
  is_semantic = info.semantic is not None and info.semantic.source == 'instances'
  maps = {'label_map': labels, 'semantic_label_map': labels if is_semantic else []}
  params.override({'task': {'train_data': maps}})


def _trainable_info(params: cfg.ExperimentConfig) -> DatasetInfo:
  info = DatasetInfo.find(params.task.train_data.input_path)
  if not info.num_trainable:
    raise DataError(
      f'The records {params.task.train_data.input_path} have no instance to train on',
      expected='at least one instance that is no crowd region',
      got=f'{info.num_instances} instances, all of them crowd regions',
      likely_cause='annotations without masks or of other images; convert them again',
    )
  return info


def record(model_dir: str, params: cfg.ExperimentConfig, command: list[str], step: int) -> None:
  """Write the categories, the configuration and the record of a start of a training.

  Args:
    model_dir: the model directory; it is created if it is missing.
    params: the experiment.
    command: the command line.
    step: step at which the training starts.

  Raises:
    InputError: the model directory cannot be created.
  """
  if not params.task.train_data.label_map:
    info = DatasetInfo.find(params.task.train_data.input_path)
    model_directory.save_dataset_info(model_dir, info)
  model_directory.save_params(model_dir, params)
  run_record.append_start(model_dir, params, command, step)
