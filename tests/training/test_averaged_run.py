"""A run with averaged weights that stops early: what it keeps, and what the same command says."""

import csv
import json
import logging
import pathlib
import shutil

import gin
import numpy as np
import pytest
import tensorflow as tf
from absl.testing import flagsaver
from official.vision import train as _  # Defines a flag.  # noqa: F401
from PIL import Image

from htc_tf.cli import predict, train
from tests import tiny_records, training_runs

# Several whole runs.
pytestmark = pytest.mark.slow

# After so few steps, no mask is right to an IoU of 0.75: the first evaluation stays the best one.
TRAINER = {
  'train_steps': 9,
  'validation_interval': 1,
  'patience': 2,
  'best_checkpoint_export_subdir': 'best',
  'best_checkpoint_eval_metric': 'segm_AP75',
  'optimizer_config': {
    'optimizer': {'sgd': {'global_clipnorm': 1.0}},
    'learning_rate': {'stepwise': {'values': [0.05, 0.05, 0.05]}},
    'warmup': {'type': None},
    'ema': {'average_decay': 0.5, 'dynamic_decay': False},
  },
}
STOPPED = 3


def run(folder, mode='train_and_eval', model_dir=None, override=None):
  train.define_flags()
  gin.clear_config()  # Model Garden locks it in every run.
  with flagsaver.flagsaver(
    experiment='htc_nuclei',
    mode=mode,
    model_dir=str(model_dir or folder / 'model'),
    config_file=[str(folder / 'config.yaml')],
    params_override=override,
  ):
    assert train.main([]) == 0


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp('averaged')
  records = tiny_records.write(folder, num_images=2)
  training_runs.write_config(folder / 'config.yaml', records, 9, {'trainer': TRAINER})
  run(folder)
  return folder


def weights(prefix):
  """(weights of the model, averages in the optimizer) of a checkpoint by variable."""
  saved = training_runs.tensors(str(prefix))
  suffix = '/.ATTRIBUTES/VARIABLE_VALUE'
  slot = '/.OPTIMIZER_SLOT/optimizer/average'
  other = {key: value for key, value in saved.items() if f'{slot}{suffix}' in key}
  return {key: saved[key.replace(slot, '')] for key in other}, other


def scores(path):
  return sorted((row['score'] for row in json.loads(path.read_text())), reverse=True)


def test_it_stops_after_evaluations_that_are_not_better(folder):
  assert tf.train.latest_checkpoint(str(folder / 'model')).endswith(f'ckpt-{STOPPED}')
  with open(folder / 'model' / 'results.csv', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  assert [(row['step'], row['segm_AP75']) for row in rows] == [('1', '0'), ('2', '0'), ('3', '0')]
  assert all(float(row['total_loss']) > 0 for row in rows)
  with Image.open(folder / 'model' / 'results.png') as drawing:
    assert min(drawing.size) > 500


def test_the_best_checkpoint_is_that_of_the_first_evaluation(folder):
  info = json.loads((folder / 'model' / 'best' / 'info.json').read_text())
  assert info['best_ckpt_global_step'] == 1
  assert (folder / 'model' / 'best' / 'best_ckpt-1.index').exists()


def test_the_averages_are_in_the_model_of_every_checkpoint(folder):
  """The exponential average of the trained weights w: a2 = (a1 + w2) / 2, a3 = (a2 + w3) / 2."""
  (second, _old), (third, trained) = (weights(folder / 'model' / f'ckpt-{step}') for step in (2, 3))
  first, _old = weights(folder / 'model' / 'best' / 'best_ckpt-1')
  assert len(third) > 20
  for key, value in third.items():
    np.testing.assert_allclose(value, (second[key] + trained[key]) / 2, rtol=1e-5, atol=1e-7)
  assert any(np.abs(first[key] - value).max() > 1e-4 for key, value in third.items())
  assert any(np.abs(trained[key] - value).max() > 1e-4 for key, value in third.items())


@pytest.mark.parametrize('name,step', [('model', 3), ('model/best', 1)])
def test_prediction_and_evaluation_use_the_weights_that_were_evaluated(
  folder, name, step, tmp_path
):
  evaluated = scores(folder / 'model' / 'results' / f'step-{step}.json')
  shutil.copytree(folder / name, tmp_path / 'copy', ignore=shutil.ignore_patterns('results'))
  run(folder, 'eval', tmp_path / 'copy')
  again = scores(tmp_path / 'copy' / 'results' / f'step-{step}.json')
  np.testing.assert_allclose(again, evaluated, rtol=1e-5)
  (images,) = pathlib.Path(folder).glob('train_images')
  arguments = [f'--model={folder / name}', f'--output={tmp_path / "out"}', '--score_threshold=0']
  assert predict.main([*arguments, str(images)]) == 0
  predicted = scores(tmp_path / 'out' / 'predictions.json')
  np.testing.assert_allclose(predicted[:6], evaluated[:6], rtol=1e-4)


def test_the_same_command_says_that_the_run_has_stopped(folder, caplog):
  caplog.set_level(logging.INFO, logger='absl')
  before = (folder / 'model' / 'results.csv').read_bytes()
  run(folder)
  assert 'This run stopped early, at step 3 of 9: segm_AP75 was best at step 1' in caplog.text
  assert 'To go on, set trainer.patience to a larger number, or to 0' in caplog.text
  assert tf.train.latest_checkpoint(str(folder / 'model')).endswith(f'ckpt-{STOPPED}')
  assert (folder / 'model' / 'results.csv').read_bytes() == before


def test_with_more_patience_the_run_goes_on_and_knows_its_evaluations(folder, caplog, tmp_path):
  """One more evaluation is allowed; without the earlier ones in mind, there would be four."""
  caplog.set_level(logging.INFO, logger='absl')
  shutil.copytree(folder / 'model', tmp_path / 'copy')
  run(folder, model_dir=tmp_path / 'copy', override='trainer.patience=3')
  assert tf.train.latest_checkpoint(str(tmp_path / 'copy')).endswith('ckpt-4')
  assert 'Stopped early, at step 4 of 9: segm_AP75 was best at step 1, 0.0' in caplog.text
  (second, _old), (fourth, trained) = (
    weights(tmp_path / 'copy' / f'ckpt-{step}') for step in (3, 4)
  )
  for key, value in fourth.items():  # The averages go on from those of the third step.
    np.testing.assert_allclose(value, (second[key] + trained[key]) / 2, rtol=1e-5, atol=1e-7)
