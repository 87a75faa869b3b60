"""Tests of the training command."""

import json
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf
import yaml
from absl import flags
from absl.testing import flagsaver
from official.core import exp_factory

from htc_tf import registry_imports  # noqa: F401
from htc_tf.configs import parsing
from htc_tf.data.dataset_info import DatasetInfo
from tests import tiny_records
from tests.cli import small_trainings

pytestmark = pytest.mark.usefixtures('defined_flags')

ROOT = pathlib.Path(__file__).parents[2]


def test_every_override_of_the_command_line_counts():
  """Model Garden's flag keeps the last one only."""
  texts = ['trainer.train_steps=3', 'trainer.max_to_keep=[1, 2]']
  with flagsaver.flagsaver():
    flags.FLAGS(['train.py', *(f'--params_override={text}' for text in texts)])
    assert flags.FLAGS.params_override == texts


def test_an_unknown_experiment_is_an_error(run, caplog):
  small_trainings.assert_fails(run, caplog, 'The experiment is unknown', experiment='htc_resnet50')
  assert all(name in caplog.text for name in parsing.known_experiments())


@pytest.mark.parametrize(
  'override,message',
  [
    ('task.model.num_clases=3', 'num_clases'),
    (
      'task.model.cascade.num_sampled_rois=many',
      "task.model.cascade.num_sampled_rois is of the wrong type. Expected: int. Got: 'many'",
    ),
    ('task.train_data.input_path=nowhere/*', 'task.train_data.input_path matches no file'),
    (
      'task.train_data.global_batch_size=0,task.train_data.input_path=train.py',
      'task.train_data.global_batch_size is out of range',
    ),
    ('task.model.input_size=[100,100,3]', 'task.model.input_size is wrong'),
  ],
)
def test_a_wrong_override_is_an_error(run, caplog, override, message):
  small_trainings.assert_fails(
    run, caplog, message, experiment='htc_nuclei', params_override=override
  )


def test_an_experiment_of_model_garden_is_an_error(run, caplog):
  small_trainings.assert_fails(
    run, caplog, 'This is not an HTC experiment', experiment='maskrcnn_resnetfpn_coco'
  )


def test_an_unknown_mode_is_an_error(run, caplog):
  small_trainings.assert_fails(
    run, caplog, 'The mode is unknown', mode='trian', experiment='htc_nuclei'
  )


def test_the_command_trains_and_evaluates(run, records, tmp_path):
  config = small_trainings.write_evaluating_config(tmp_path / 'config.yaml', records, interval=2)
  folder = run(mode='train_and_eval', experiment='htc_nuclei', config_file=[config])
  assert tf.train.latest_checkpoint(str(folder)).endswith('ckpt-2')
  saved = yaml.safe_load((folder / 'params.yaml').read_text())
  assert saved['task']['model']['num_classes'] == tiny_records.NUM_CLASSES
  assert saved['trainer']['train_steps'] == 2
  assert DatasetInfo.load(str(folder / 'dataset.json')).num_classes == tiny_records.NUM_CLASSES
  assert isinstance(json.loads((folder / 'results' / 'step-2.json').read_text()), list)
  written = {tag for path in folder.rglob('events*') for tag in _tags(path)}
  assert {
    'loss/total_loss',
    'loss/weight_decay',
    'loss/stage0_mask_loss',
    'loss/semantic_loss',
    'accuracy/stage0_accuracy',
    'rate/learning_rate',
    'speed/images_per_second',
    'memory/process_gb',
    'skipped/skipped_records',
    'box/bbox_AP',
    'mask/segm_AP50',
    'box/bbox_AP@6',
  } <= written
  assert not any('validation_loss' in tag for tag in written)


def _tags(path):
  return {
    value.tag
    for event in tf.compat.v1.train.summary_iterator(str(path))
    for value in event.summary.value
  }


def test_the_xla_flag_moves_to_the_task():
  params = exp_factory.get_exp_config('htc_resnet50fpn_1x_coco')
  params.runtime.enable_xla = True
  parsing.move_xla_flag(params)
  assert params.task.jit_compile
  assert not params.runtime.enable_xla


def test_the_script_reports_an_error_without_traceback(tmp_path):
  process = subprocess.run(
    [
      sys.executable,
      str(ROOT / 'train.py'),
      '--experiment=htc_resnet50',
      '--mode=train',
      f'--model_dir={tmp_path}',
    ],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert process.returncode == 2
  assert 'The experiment is unknown' in process.stderr
  assert 'Traceback' not in process.stderr
