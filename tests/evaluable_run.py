"""A model directory whose evaluation gives figures that depend on every image."""

import json
import pathlib
from typing import NamedTuple

import tensorflow as tf
from official.core import config_definitions as cfg
from official.core import exp_factory, train_utils
from official.modeling import hyperparams

from htc_tf.tasks.htc import HTCTask
from tests import tiny, tiny_records, training_runs

STEP = 3
# Odd, so that one of two replicas has no image in the last step with batches of two.
NUM_IMAGES = 3


class EvaluableRun(NamedTuple):
  """A run that `make` wrote.

  Attributes:
    config: path of the configuration.
    model_dir: model directory with a checkpoint of step `STEP`.
    figures: figures of an evaluation on one device; AP is neither 0 nor 1.
  """

  config: str
  model_dir: pathlib.Path
  figures: dict


class Evaluation(NamedTuple):
  """The figures and the detections, as COCO results, of an evaluation."""

  figures: dict
  results: list


def make(folder: pathlib.Path, **overrides) -> EvaluableRun:
  """A new run whose ground truth is some of the detections of its random model."""
  records = tiny_records.write(folder, num_images=NUM_IMAGES)
  annotations = folder / 'instances.json'
  annotations.write_text((folder / 'train_source.json').read_text())
  config = training_runs.write_config(
    folder / 'config.yaml',
    records,
    STEP,
    {'task': {'annotation_file': str(annotations)}, **overrides},
  )
  task = HTCTask(_read(config).task)
  model = tiny.build(task.task_config.model)
  outputs = [
    task.validation_step(batch, model)
    for batch in task.build_inputs(task.task_config.validation_data)
  ]
  _annotate(annotations, _collect(task, outputs).collected()['results'])
  figures = task.reduce_aggregated_logs(_collect(task, outputs))
  for name in ('bbox_AP50', 'bbox_AP', 'segm_AP50', 'segm_AP'):
    assert 0.1 < figures[name] < 0.9, figures
  saved = tf.train.Checkpoint(model=model, global_step=tf.Variable(STEP, dtype=tf.int64))
  tf.train.CheckpointManager(saved, str(folder / 'model'), max_to_keep=1).save(STEP)
  return EvaluableRun(config, folder / 'model', figures)


def _collect(task: HTCTask, outputs: list):
  """The task's evaluator after all outputs of `validation_step`."""
  state = None
  for output in outputs:
    state = task.aggregate_logs(state, output)
  return state


def evaluate(
  strategy: tf.distribute.Strategy, config: str, model_dir: pathlib.Path, folder: pathlib.Path
) -> Evaluation:
  """An evaluation of the last checkpoint with Model Garden's trainer in this process."""
  params = _read(config)
  with strategy.scope():
    trainer = train_utils.create_trainer(
      params, HTCTask(params.task, logging_dir=str(folder)), train=False, evaluate=True
    )
    trainer.checkpoint.restore(tf.train.latest_checkpoint(str(model_dir))).expect_partial()
    figures = trainer.evaluate(tf.constant(-1))
  figures = {name: float(value) for name, value in figures.items()}
  step = trainer.global_step.numpy()
  return Evaluation(figures, json.loads((folder / 'results' / f'step-{step}.json').read_text()))


def _read(config: str) -> cfg.ExperimentConfig:
  return hyperparams.override_params_dict(
    exp_factory.get_exp_config('htc_nuclei'), config, is_strict=True
  )


def _annotate(path: pathlib.Path, detected: list) -> None:
  """Write ground truth: the best detection of the first image, the second best of the next, ..."""
  content = json.loads(path.read_text())
  content['annotations'] = []
  for rank, image in enumerate(content['images']):
    rows = sorted(
      (row for row in detected if row['image_id'] == image['id']), key=lambda row: -row['score']
    )
    _, _, width, height = rows[rank]['bbox']
    content['annotations'].append(
      {**rows[rank], 'id': rank + 1, 'area': width * height, 'iscrowd': 0}
    )
  path.write_text(json.dumps(content))
