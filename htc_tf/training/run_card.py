"""The cards of the models that a training run made; see `checkpoints.model_card`."""

import json
import os
import shlex
from collections.abc import Mapping

import tensorflow as tf
from official.core import config_definitions as cfg

from htc_tf import file_systems
from htc_tf.checkpoints import converted_model, model_card
from htc_tf.configs import schedule, shorthands
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import DataError
from htc_tf.training import results_table, run_record
from htc_tf.training.best_checkpoint import BestCheckpoint

_LICENSE = 'not stated: the terms of the data, and of the weights that the run started from, apply'


def write(
  model_dir: str,
  experiment: str,
  params: cfg.ExperimentConfig,
  step: int,
  best: BestCheckpoint | None,
) -> None:
  """Write the card of the last checkpoint of a run, and that of the best one into its folder.

  Args:
    model_dir: the model directory.
    experiment: name of the experiment.
    params: its configuration.
    step: number of steps that were trained.
    best: the folder of the best checkpoint; None if the run keeps none.
  """
  info = DatasetInfo.find(params.task.train_data.input_path)
  sections: dict[str, model_card.Section] = {
    'Data of the training': model_card.data_rows(info),
    'Data of the evaluation': _validation_rows(params),
    'Training': _training_rows(model_dir, params, info),
  }
  title = f'{experiment}, trained on {info.name}'
  rows = {int(row['step']): row for row in results_table.ResultsTable(model_dir, step).rows}
  cards = {model_dir: step}
  if best is not None and best.best is not None:
    cards[best.folder] = best.best.step
  for folder, its_step in cards.items():
    prefix = tf.train.latest_checkpoint(folder)
    if prefix is None:
      continue
    figures = {'Result': _result_rows(its_step, rows.get(its_step, {}))}
    model_card.write(folder, title, params.task.model, info, {**figures, **sections}, prefix)


def _validation_rows(params: cfg.ExperimentConfig) -> model_card.Section:
  if not shorthands.has_validation_records(params):
    return {}
  try:
    return model_card.data_rows(DatasetInfo.find(params.task.validation_data.input_path))
  except DataError:  # A training without evaluation does not need their metadata.
    return {}


def _training_rows(
  model_dir: str, params: cfg.ExperimentConfig, info: DatasetInfo
) -> dict[str, str]:
  batch = params.task.train_data.global_batch_size
  starts = run_record.read_starts(model_dir)
  rows = {
    'started from': _start(params.task.init_checkpoint),
    'schedule': schedule.describe(params.trainer, batch, info.num_images),
    'optimizer': params.trainer.optimizer_config.optimizer.type,
    'precision': params.runtime.mixed_precision_dtype or 'float32',
    'license of the weights': _LICENSE,
  }
  if starts:
    records = (starts[-1]['data'] or {}).get('train_data') or {}
    rows['command'] = f'`{shlex.join(starts[-1]["command"])}`'
    rows['starts'] = f'{len(starts)}, the last at {starts[-1]["time"]}; see {run_record.RUN_FILE}'
    rows['hash of the records'] = records.get('sha256', 'unknown')
  return rows


def _start(init_checkpoint: str | None) -> str:
  """What a training started from, and the published file behind it if it was converted."""
  if not init_checkpoint:
    return 'random weights'
  path = os.path.join(init_checkpoint, converted_model.RECORD_FILE)
  if not (file_systems.is_folder(init_checkpoint) and file_systems.exists(path)):
    return init_checkpoint
  source = json.loads(file_systems.read_bytes(path))['source']
  return f'{init_checkpoint}, converted from {source["file"]} (SHA-256 {source["sha256"]})'


def _result_rows(step: int, row: Mapping[str, float]) -> dict[str, str]:
  """The figures of an evaluation; AP in percent, as in tables of results."""
  figures = {
    name: f'{100 * value:.1f}'
    for name, value in row.items()
    if name.startswith(('bbox_', 'segm_')) and value >= 0
  }
  return {'step': str(step), **(figures or {'AP': 'not evaluated at this step'})}
