"""Tests of the training command."""

import json
import pathlib
import subprocess
import sys

from absl import flags
from absl.testing import flagsaver
import gin
from official.common import flags as tfm_flags
from official.core import exp_factory
from official.vision import train as _  # Defines a flag.  pylint: disable=unused-import
import pytest
import tensorflow as tf
import yaml

from htc_tf import registry_imports  # pylint: disable=unused-import
from htc_tf.cli import train
from htc_tf.configs import parsing
from htc_tf.data.dataset_info import DatasetInfo
from tests import tiny_records

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope='module', autouse=True)
def defined_flags():
  if 'experiment' not in flags.FLAGS:
    tfm_flags.define_flags()


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  return tiny_records.write(tmp_path_factory.mktemp('records'), num_pictures=2)


@pytest.fixture
def run(tmp_path):
  """Runs the command in this process with a fresh model directory; returns the directory."""
  def run_with(mode='train', **values):
    gin.clear_config()  # Model Garden closes it in every run.
    with flagsaver.flagsaver(mode=mode, model_dir=str(tmp_path / 'model'), **values):
      train.main([])
    return tmp_path / 'model'
  return run_with


def write_config(path, params, **trainer):
  """A configuration file that makes of htc_nuclei the given reduced experiment."""
  tree = {'runtime': {'distribution_strategy': 'one_device'}, 'trainer': trainer,
          'task': {'model': tiny_records.model_overrides(params.task.model)}}
  stages = [stage.as_dict() for stage in params.task.model.cascade.stages]
  tree['task']['model']['cascade'] = {'num_sampled_rois': 16, 'stages': stages}
  for name in ('train_data', 'validation_data'):
    data = getattr(params.task, name)
    tree['task'][name] = {'input_path': data.input_path, 'global_batch_size': 2,
                          'parser': {'min_sizes': data.parser.min_sizes,
                                     'max_size': data.parser.max_size}}
  path.write_text(yaml.safe_dump(tree), encoding='utf-8')
  return str(path)


def assert_fails(run, caplog, message, **values):
  with pytest.raises(SystemExit) as stop:
    run(**values)
  assert stop.value.code == 2
  assert message in caplog.text


def test_unknown_experiment(run, caplog):
  assert_fails(run, caplog, 'The experiment is unknown', experiment='htc_resnet50')
  assert all(name in caplog.text for name in parsing.known_experiments())


@pytest.mark.parametrize('override,message', [
    ('task.model.num_clases=3', 'num_clases'),
    ('task.model.cascade.num_sampled_rois=many',
     "task.model.cascade.num_sampled_rois is of the wrong type. Expected: int. Got: 'many'"),
    ('task.train_data.input_path=nowhere/*', 'task.train_data.input_path names no file'),
    ('task.train_data.global_batch_size=0,task.train_data.input_path=train.py',
     'task.train_data.global_batch_size is out of range'),
    ('task.model.input_size=[100,100,3]', 'task.model.input_size is wrong'),
])
def test_wrong_override(run, caplog, override, message):
  assert_fails(run, caplog, message, experiment='htc_nuclei', params_override=override)


def test_records_of_other_classes(run, caplog, records, tmp_path):
  assert_fails(run, caplog, 'task.train_data and task.model.num_classes disagree',
               experiment='htc_nuclei', params_override=f'task.train_data.input_path={records}')
  assert not (tmp_path / 'model').exists()


def test_experiment_of_model_garden(run, caplog):
  assert_fails(run, caplog, 'This is no HTC experiment', experiment='maskrcnn_resnetfpn_coco')


def test_missing_initial_checkpoint(run, caplog, records, tmp_path):
  params = tiny_records.reduced('htc_nuclei', records)
  config = write_config(tmp_path / 'config.yaml', params, train_steps=1)
  assert_fails(run, caplog, 'There is no checkpoint at nowhere', experiment='htc_nuclei',
               config_file=[config], params_override='task.init_checkpoint=nowhere')


def test_an_evaluation_of_random_weights_is_refused(run, caplog, records, tmp_path):
  params = tiny_records.reduced('htc_nuclei', records)
  config = write_config(tmp_path / 'config.yaml', params, validation_steps=1)
  assert_fails(run, caplog, 'There is no checkpoint to evaluate in', mode='eval',
               experiment='htc_nuclei', config_file=[config])


def test_a_file_in_place_of_the_model_directory(run, caplog, records, tmp_path):
  params = tiny_records.reduced('htc_nuclei', records)
  config = write_config(tmp_path / 'config.yaml', params, train_steps=1)
  (tmp_path / 'model').write_text('mine')
  assert_fails(run, caplog, 'cannot be made. Expected: a folder', experiment='htc_nuclei',
               config_file=[config])


def test_unknown_mode(run, caplog):
  assert_fails(run, caplog, 'The mode is unknown', mode='trian', experiment='htc_nuclei')


def test_trains_and_evaluates(run, records, tmp_path):
  params = tiny_records.reduced('htc_nuclei', records)
  params.task.model.cascade.stages = params.task.model.cascade.stages[:1]
  config = write_config(
      tmp_path / 'config.yaml', params, train_steps=2, steps_per_loop=1, summary_interval=1,
      checkpoint_interval=2, validation_interval=2, validation_steps=-1)
  folder = run(mode='train_and_eval', experiment='htc_nuclei', config_file=[config])
  assert tf.train.latest_checkpoint(str(folder)).endswith('ckpt-2')
  saved = yaml.safe_load((folder / 'params.yaml').read_text())
  assert saved['task']['model']['num_classes'] == tiny_records.NUM_CLASSES
  assert saved['trainer']['train_steps'] == 2
  assert DatasetInfo.load(str(folder / 'dataset.json')).num_classes == tiny_records.NUM_CLASSES
  assert isinstance(json.loads((folder / 'results' / 'step-2.json').read_text()), list)
  written = {tag for path in folder.rglob('events*') for tag in _tags(path)}
  assert {'total_loss', 'stage0_mask_loss', 'stage0_accuracy', 'semantic_loss', 'learning_rate',
          'bbox_AP', 'segm_AP50'} <= {tag.split('/')[-1] for tag in written}


def _tags(path):
  return {value.tag for event in tf.compat.v1.train.summary_iterator(str(path))
          for value in event.summary.value}


def test_schedule_follows_the_batch():
  params = exp_factory.get_exp_config('htc_resnet50fpn_1x_coco')
  params.task.train_data.global_batch_size = 8
  with flagsaver.flagsaver(experiment='htc_resnet50fpn_1x_coco', config_file=[],
                           params_override='task.train_data.global_batch_size=8'):
    parsing.rescale_for_batch(flags.FLAGS, params)
    assert params.trainer.train_steps == 175920
    # Model Garden reads the flags again.
    again = parsing.parse_configuration(flags.FLAGS)
    assert again.trainer.as_dict() == params.trainer.as_dict()


def test_schedule_that_was_given_stays():
  params = exp_factory.get_exp_config('htc_resnet50fpn_1x_coco')
  params.override({'task': {'train_data': {'global_batch_size': 8}}, 'trainer': {'train_steps': 5}})
  with flagsaver.flagsaver(experiment='htc_resnet50fpn_1x_coco', config_file=[]):
    parsing.rescale_for_batch(flags.FLAGS, params)
    assert params.trainer.train_steps == 5
    assert not flags.FLAGS.config_file


def test_xla_is_asked_of_the_task():
  params = exp_factory.get_exp_config('htc_resnet50fpn_1x_coco')
  params.runtime.enable_xla = True
  with flagsaver.flagsaver(experiment='htc_resnet50fpn_1x_coco', config_file=[],
                           params_override='runtime.enable_xla=true'):
    parsing.move_xla_flag(flags.FLAGS, params)
    assert params.task.jit_compile
    assert not params.runtime.enable_xla
    again = parsing.parse_configuration(flags.FLAGS)
    assert again.as_dict() == params.as_dict()


def test_script(tmp_path):
  """The script itself, in a process of its own."""
  process = subprocess.run(
      [sys.executable, str(ROOT / 'train.py'), '--experiment=htc_resnet50', '--mode=train',
       f'--model_dir={tmp_path}'], cwd=ROOT, capture_output=True, text=True, check=False)
  assert process.returncode == 2
  assert 'The experiment is unknown' in process.stderr
  assert 'Traceback' not in process.stderr
