"""The block of lines at the start of a training, and the lines at its end."""

import os

import tensorflow as tf
from absl import logging
from official.core import config_definitions as cfg

from htc_tf import next_command
from htc_tf.configs import schedule, shorthands
from htc_tf.configs import task as task_config
from htc_tf.data import repeat_factors
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.data.left_out import MIN_IMAGE_SIDE
from htc_tf.evaluation import metrics
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.training import results_plot, results_table
from htc_tf.training.best_checkpoint import Best, BestCheckpoint
from htc_tf.training.run_log import RunLog

_MAX_NAMES = 8


def log_start(
  experiment: str,
  params: cfg.ExperimentConfig,
  model: HTCModel,
  model_dir: str,
  num_replicas: int,
) -> None:
  """Show what a training does: experiment, data, model, schedule, and where things go.

  Args:
    experiment: name of the experiment.
    params: its configuration.
    model: its model.
    model_dir: the model directory.
    num_replicas: number of devices of all workers that share a batch.
  """
  info = DatasetInfo.find(params.task.train_data.input_path)
  data = params.task.train_data
  num_images = info.num_training_images(data.published_selection)
  lines = {
    'experiment': experiment,
    'data': f'{data.input_path}: {_describe_data(info)}',
    **_describe_selection(info, num_images),
    'model': _describe_model(params, model),
    'schedule': schedule.describe(params.trainer, data.global_batch_size, num_images),
    **_describe_sampling(data, info),
    'devices': _describe_devices(params.runtime, num_replicas),
    'output': f'{model_dir}: checkpoints, {results_table.TABLE_FILE}, {results_plot.PLOT_FILE}; '
    f'curves and pictures: tensorboard --logdir={model_dir}',
  }
  width = max(map(len, lines))
  logging.info('\n'.join(f'{name:{width}}  {text}' for name, text in lines.items()))


def _describe_data(info: DatasetInfo) -> str:
  names = info.category_names
  listed = ', '.join(names[:_MAX_NAMES]) + (', ...' if len(names) > _MAX_NAMES else '')
  noun = 'category' if len(names) == 1 else 'categories'
  return f'{info.num_images} images, {info.num_instances} objects, {len(names)} {noun} ({listed})'


def _describe_selection(info: DatasetInfo, num_images: int) -> dict[str, str]:
  """A line about images that are left out, if there are any."""
  number = info.num_images - num_images
  if not number:
    return {}
  text = (
    f'about {number} images without annotations or with a side under {MIN_IMAGE_SIDE} pixels are '
    'left out, as published (task.train_data.published_selection)'
  )
  return {'selection': text}


def _describe_sampling(data: task_config.DataConfig, info: DatasetInfo) -> dict[str, str]:
  """A line about images that are repeated, because an epoch then is not every image once."""
  if not (data.repeat_threshold and info.statistics):
    return {}
  factors = repeat_factors.category_factors(
    info.statistics.images_by_category, info.num_images, data.repeat_threshold
  )
  num_images = info.num_training_images(data.published_selection)
  text = (
    f'images of rare classes are read up to {max(factors):.1f} times as often (repeat_threshold='
    f'{data.repeat_threshold:g}); an epoch is still {num_images} images, but not each of them'
  )
  return {'sampling': text}


def _describe_model(params: cfg.ExperimentConfig, model: HTCModel) -> str:
  config = params.task.model
  backbone = config.backbone.type
  depth = getattr(config.backbone.get(), 'model_id', None)
  name = f'{backbone} {depth}' if depth is not None else backbone
  sizes = [
    sum(v.shape.num_elements() for v in group)
    for group in (model.variables, model.trainable_variables)
  ]
  total, trained = (f'{size / 1e6:.1f}' for size in sizes)
  stages = len(config.cascade.stages)
  return f'{name}, {stages} stages, {total} million parameters, {trained} million of them trained'


def _describe_devices(runtime: cfg.RuntimeConfig, num_replicas: int) -> str:
  names = [device.name for device in tf.config.list_logical_devices('GPU')]
  kind = f'{len(names)} GPUs' if names else f'CPU with {os.cpu_count()} cores'
  precision = runtime.mixed_precision_dtype or 'float32'
  return f'{kind}, {num_replicas} replica{"s" if num_replicas > 1 else ""}, {precision}'


def log_end(
  step: int,
  params: cfg.ExperimentConfig,
  run_log: RunLog,
  model_dir: str,
  best: BestCheckpoint | None,
) -> None:
  """Show how a training ended, where its best checkpoint is, and the command that follows.

  Args:
    step: number of steps that were trained.
    params: configuration of the experiment.
    run_log: the reports of the training.
    model_dir: the model directory.
    best: the folder of the best checkpoint; None if the run keeps none.
  """
  stopping = run_log.stopping
  if step < params.trainer.train_steps:
    logging.info(
      'Stopped early, at step %d of %d: %s',
      step,
      params.trainer.train_steps,
      stopping.describe(),
    )
  folder = best.folder if best is not None and best.best is not None else model_dir
  # After a restart that lost steps, the best checkpoint may be of one of them.
  is_kept = best is None or best.best is None or best.best == stopping.best
  if run_log.best_figures and is_kept:
    logging.info('%s', metrics.format_table(run_log.best_figures))
  logging.info('%s', _describe_result(stopping.metric, stopping.best, best, model_dir))
  logging.info('%s', _next_command(params, folder))


def _next_command(params: cfg.ExperimentConfig, folder: str) -> str:
  """The line with the next command, which is no evaluation if there are no records for one."""
  if shorthands.has_validation_records(params):
    return next_command.line('htc-evaluate', f'--model={folder}')
  words = (f'--model={folder}', '--output=predictions', 'IMAGE_OR_FOLDER')
  return next_command.line('htc-predict', *words)


def _describe_result(
  metric: str, evaluated: Best | None, kept: BestCheckpoint | None, model_dir: str
) -> str:
  """A line about the best evaluation and the checkpoint to use."""
  if kept is not None and kept.best is not None:
    value = 100 * kept.best.value
    return f'best {metric} {value:.1f} at step {kept.best.step}, in {kept.folder}'
  if evaluated is not None:
    value = 100 * evaluated.value
    return f'best {metric} {value:.1f} at step {evaluated.step}; last checkpoint in {model_dir}'
  return f'not evaluated; last checkpoint in {model_dir}'
