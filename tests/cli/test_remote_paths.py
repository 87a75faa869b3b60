"""Tests that every path of every command is used remotely, or refused by name at the start."""

import importlib
import logging
import os
import types

import pytest
import tensorflow as tf
from PIL import Image

import htc_tf
from htc_tf.cli import train
from htc_tf.configs import validation
from htc_tf.data import nuclei
from htc_tf.errors import InputError
from tests import tiny_records

SUPPORTED, REFUSED, NO_PATH = 'supported', 'refused', 'no path'
# Arguments without a path that the commands for prediction have in common.
_DETECTION = (
  '--score_threshold',
  '--save',
  '--batch_size',
  '--track',
  '--tile_size',
  '--tile_overlap',
)
# Every argument of every command, in the order of its help.
ARGUMENTS = {
  'create_coco_records': {
    '--annotations': REFUSED,
    '--image_folder': REFUSED,
    '--output_folder': REFUSED,
    '--stuff_folder': REFUSED,
    **dict.fromkeys(
      (
        '--prefix',
        '--name',
        '--num_shards',
        '--num_processes',
        '--semantic',
        '--num_semantic_classes',
        '--no_masks',
        '--skip_missing_images',
        '--exif',
        '--annotation_format',
        '--check_stuff_maps',
        '--split',
        '--class_attribute',
        '--class_name',
        '--classes',
        '--rename',
        '--boxes_as_masks',
        '--crowds_as_instances',
        '--semantic_order',
        '--semantic_background',
        '--tile_size',
        '--tile_overlap',
        '--tile_min_visible',
        '--drop_empty_tiles',
        '--overwrite',
        '--val_fraction',
        '--channels',
        '--split_seed',
        '--group_by',
      ),
      NO_PATH,
    ),
  },
  'convert': {
    'file': SUPPORTED,
    '--output': SUPPORTED,
    '--config_file': SUPPORTED,
    **dict.fromkeys(
      (
        '--experiment',
        '--params_override',
        '--allow_class_mismatch',
        '--allow_unused',
        '--allow_missing',
      ),
      NO_PATH,
    ),
  },
  'average': {
    'checkpoints': SUPPORTED,
    '--model': SUPPORTED,
    '--output': SUPPORTED,
    **dict.fromkeys(('--last', '--norm_batches', '--experiment', '--params_override'), NO_PATH),
  },
  'predict': {
    '--model': SUPPORTED,
    'inputs': REFUSED,
    '--annotations': REFUSED,
    '--output': REFUSED,
    '--ensemble': SUPPORTED,
    '--thresholds': SUPPORTED,
    **dict.fromkeys(
      (
        '--experiment',
        '--params_override',
        '--tta',
        '--ensemble_level',
        '--constant_weights',
        *_DETECTION,
      ),
      NO_PATH,
    ),
  },
  'export': {
    '--model': SUPPORTED,
    '--output': SUPPORTED,
    '--calibration_images': REFUSED,
    '--ensemble': SUPPORTED,
    **dict.fromkeys(
      (
        '--experiment',
        '--params_override',
        '--tta',
        '--ensemble_level',
        '--format',
        '--height',
        '--width',
        '--boxes',
        '--masks',
        '--max_pixels',
        '--max_batch_size',
        '--no_warmup',
      ),
      NO_PATH,
    ),
  },
  'client': {
    '--export': SUPPORTED,
    'inputs': REFUSED,
    '--annotations': REFUSED,
    '--output': REFUSED,
    '--thresholds': SUPPORTED,
    **dict.fromkeys(
      (
        '--server',
        '--model_name',
        '--model_version',
        '--timeout',
        *_DETECTION,
      ),
      NO_PATH,
    ),
  },
  'lower': {
    '--model': SUPPORTED,
    '--output': REFUSED,
    **dict.fromkeys(
      ('--height', '--width', '--batch_size', '--experiment', '--params_override'), NO_PATH
    ),
  },
  'evaluate': {
    **dict.fromkeys(
      ('--model', '--results', '--annotations', '--data', '--input_path', '--output'), SUPPORTED
    ),
    '--image_folder': REFUSED,
    '--ensemble': SUPPORTED,
    **dict.fromkeys(('--experiment', '--params_override', '--tta', '--ensemble_level'), NO_PATH),
  },
  'demo': {'--output': REFUSED, '--train_steps': NO_PATH},
  'show': {
    'data': SUPPORTED,
    '--model': SUPPORTED,
    '--output': REFUSED,
    **dict.fromkeys(
      (
        '--split',
        '--samples',
        '--views',
        '--seed',
        '--images',
        '--classes',
        '--size',
        '--image_size',
        '--experiment',
        '--params_override',
      ),
      NO_PATH,
    ),
  },
}
# The arguments that a command needs; `image.png` exists.
_NEEDED = {
  'create_coco_records': {
    '--annotations': 'a.json',
    '--image_folder': '.',
    '--output_folder': 'records',
    '--semantic': 'stuff_maps',
    '--stuff_folder': '.',
  },
  'convert': {'file': 'a.pth', '--experiment': 'htc_resnet50fpn_1x_coco', '--output': 'model'},
  'average': {'--output': 'mean'},
  'predict': {'inputs': 'image.png', '--model': 'model', '--output': 'predictions'},
  'export': {'--model': 'model', '--output': 'export/1', '--no_warmup': None},
  'client': {
    'inputs': 'image.png',
    '--server': 'http://localhost:1',
    '--output': 'predictions',
  },
  'lower': {'--model': 'model', '--output': 'program'},
  'evaluate': {'--model': 'model'},
  'demo': {},
  'show': {'--output': 'pictures'},
}


def _arguments(kind):
  return [
    (command, name)
    for command, arguments in ARGUMENTS.items()
    for name, found in arguments.items()
    if found == kind
  ]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch, tmp_path):
  """A working directory with one image; remote file systems cannot be reached."""

  def fail(path, *_, **__):
    raise tf.errors.UnavailableError(None, None, f'no network for {path}')

  for name in ('exists', 'stat', 'isdir', 'listdir', 'glob', 'makedirs', 'GFile', 'rename'):
    original = getattr(tf.io.gfile, name)
    monkeypatch.setattr(
      tf.io.gfile,
      name,
      lambda path, *args, original=original, **kwargs: (
        fail(path) if '://' in str(path) else original(path, *args, **kwargs)
      ),
    )
  monkeypatch.chdir(tmp_path)
  Image.new('RGB', (8, 8)).save('image.png')
  yield
  assert os.listdir() == ['image.png']


def _run(command, name, path):
  """(status, one line on standard error) of a command with a path for one argument."""
  values = {**_NEEDED[command], name: path}
  options = [value for option, value in values.items() if not option.startswith('-')]
  for option, value in values.items():
    if option.startswith('-'):
      options.append(option if value is None else f'{option}={value}')
  return importlib.import_module(f'htc_tf.cli.{command}').main(options)


def test_every_argument_is_listed():
  for command, arguments in ARGUMENTS.items():
    parser = importlib.import_module(f'htc_tf.cli.{command}')._parser()
    names = {(action.option_strings or [action.dest])[-1] for action in parser._actions}
    assert names - {'--help'} == arguments.keys(), command
  folder = os.path.dirname(importlib.import_module('htc_tf.cli').__file__)
  commands = {name.removesuffix('.py') for name in os.listdir(folder) if name.endswith('.py')}
  helpers = {'__init__', 'command', 'image_arguments', 'model_arguments'}
  assert commands - helpers - {'train'} == ARGUMENTS.keys()


@pytest.mark.parametrize('command, name', _arguments(REFUSED))
def test_an_argument_that_must_be_local_is_refused_by_name(command, name, capsys):
  assert _run(command, name, 'gs://bucket/x') == 2
  error = capsys.readouterr().err
  assert error.count('\n') == 1 and 'gcloud storage cp' in error and 'gs://bucket/x' in error
  assert name in error


@pytest.mark.parametrize('command, name', _arguments(SUPPORTED))
def test_a_remote_file_system_that_cannot_be_reached_is_one_line(command, name, capsys):
  assert _run(command, name, 'gs://bucket/x') == 2
  error = capsys.readouterr().err
  assert error.count('\n') == 1 and 'no network for gs://bucket/x' in error


@pytest.mark.parametrize('command, name', _arguments(SUPPORTED))
def test_an_unknown_file_system_is_refused_by_name(command, name, capsys):
  for path in ('s3://bucket/x', 'gs:/bucket/x'):
    assert _run(command, name, path) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and name in error and path in error


class _Flags(types.SimpleNamespace):
  """Parsed flags."""

  def __contains__(self, name):
    return hasattr(self, name)


def _train(monkeypatch, caplog, **flags):
  """(status, message) of the training command."""
  values = {
    'experiment': 'htc_nuclei',
    'mode': 'train',
    'model_dir': 'model',
    'config_file': None,
    'params_override': '',
    'gin_file': None,
    'tpu': '',
    'tf_data_service': '',
    'set_default': lambda *_: None,
    **dict.fromkeys(train._SHORTHANDS),
    **flags,
  }
  monkeypatch.setattr(train, 'FLAGS', _Flags(**values))
  with caplog.at_level(logging.ERROR):
    status = train.main([])
  return status, caplog.messages[-1]


@pytest.mark.parametrize(
  'flags, name',
  [
    ({'model_dir': 's3://bucket/x'}, '--model_dir'),
    ({'data': 's3://bucket/x'}, '--data'),
    ({'weights': 's3://bucket/x'}, 'task.init_checkpoint'),
    ({'model_dir': 'gs:/bucket/x'}, '--model_dir'),
    ({'config_file': ['s3://bucket/x']}, '--config_file'),
    ({'gin_file': ['gs://bucket/x']}, '--gin_file'),
    ({'params_override': 'task.train_data.input_path=s3://bucket/x'}, 'task.train_data.input_path'),
    ({'params_override': 'task.annotation_file=s3://bucket/x'}, 'task.annotation_file'),
    ({'params_override': 'task.init_checkpoint=s3://bucket/x'}, 'task.init_checkpoint'),
    (
      {'params_override': 'trainer.best_checkpoint_export_subdir=gs://bucket/x'},
      'trainer.best_checkpoint_export_subdir',
    ),
    (
      {'params_override': 'trainer.validation_summary_subdir=gs://bucket/x'},
      'trainer.validation_summary_subdir',
    ),
  ],
)
def test_training_refuses_a_path_by_name(monkeypatch, caplog, flags, name):
  status, message = _train(monkeypatch, caplog, **flags)
  assert status == 2
  assert name in message and ('://bucket/x' in message or 'gs:/bucket/x' in message)


@pytest.mark.parametrize(
  'flags',
  [
    {'config_file': ['gs://bucket/x']},
    {'params_override': 'task.train_data.input_path=gs://bucket/x'},
  ],
)
def test_training_without_a_network_ends_with_one_line(monkeypatch, caplog, flags):
  status, message = _train(monkeypatch, caplog, **flags)
  assert status == 2
  assert 'no network for gs://bucket/x' in message


def test_functions_refuse_remote_paths_as_the_commands_do():
  with pytest.raises(InputError, match='output_folder'):
    nuclei.write_nuclei_coco('gs://bucket/x')
  for path in ('s3://bucket/x', 'gs:/bucket/x'):
    with pytest.raises(InputError, match='model path'):
      htc_tf.load_model(path)


def test_remote_paths_of_a_configuration_are_accepted():
  params = tiny_records.reduced('htc_nuclei', 'gs://bucket/train-*')
  params.task.annotation_file = 'gs://bucket/annotations.json'
  params.task.init_checkpoint = 'gs://bucket/model'
  validation.validate_experiment(params, mode='')
