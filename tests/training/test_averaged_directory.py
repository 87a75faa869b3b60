"""Tests of model directories with the mean of several checkpoints."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.checkpoints import last_good, model_directory, restoration
from htc_tf.cli import average
from htc_tf.configs import data_validation
from htc_tf.convert.variables import named_variables
from htc_tf.errors import InputError
from htc_tf.serving import members
from htc_tf.tasks import norm_statistics
from htc_tf.training import averaged_directory
from tests.serving import tiny_model

FROZEN = {'norm_eval': True, 'model_id': 18}
TRAINED = {'norm_eval': False, 'model_id': 18}


@pytest.fixture(scope='module', name='folders')
def _folders(tmp_path_factory):
  """Model directories of one configuration with different weights."""
  root = tmp_path_factory.mktemp('models')
  return two_models(root, FROZEN)


def two_models(root, resnet):
  """Paths of two model directories with a backbone of these options."""
  changes = {'model': {'backbone': {'published_resnet': resnet}}}
  return [tiny_model.write(root / f'm{seed}', seed, changes=changes) for seed in (1, 2)]


def values_of(folder):
  """The variables of a model directory by name."""
  variables = named_variables(members.load_one(folder).model)
  return {name: variable.numpy() for name, variable in variables.items()}


def test_the_command_writes_a_directory_that_other_commands_load(folders, tmp_path, capsys):
  output = tmp_path / 'mean'
  assert average.main([*folders, f'--output={output}']) == 0
  assert {path.name for path in output.iterdir()} == {
    'checkpoint',
    'ckpt-0.index',
    'ckpt-0.data-00000-of-00001',
    'params.yaml',
    'dataset.json',
    'averaging.json',
    'model_card.md',
  }
  first, second, mean = map(values_of, (*folders, str(output)))
  assert len(mean) > 50
  assert any(np.any(first[name] != second[name]) for name in mean)
  for name, value in mean.items():
    expected = (np.float64(first[name]) + second[name]) / 2
    np.testing.assert_array_equal(value, expected.astype(np.float32), name)
  for name in ('params.yaml', 'dataset.json'):
    with open(os.path.join(folders[1], name), 'rb') as file:
      assert (output / name).read_bytes() == file.read()
  record = json.loads((output / 'averaging.json').read_text())
  prefixes = [f'{folder}/ckpt-1' for folder in folders]
  assert (record['checkpoints'], record['exponential']) == (prefixes, [])
  out, err = capsys.readouterr()
  assert f'mean of 2 checkpoints: {", ".join(prefixes)}' in out
  assert out.endswith(f'{output}\n') and err.endswith(f'next: htc-evaluate --model={output}\n')


def test_the_backbone_of_the_mean_can_be_loaded_alone(folders, tmp_path):
  output = str(tmp_path / 'mean')
  averaged_directory.write_averaged_directory([f'{f}/ckpt-1' for f in folders], output)
  model = members.load_one(folders[0]).model
  restoration.restore(output, {'backbone': model.backbone})
  mean = members.load_one(output).model
  for actual, expected in zip(model.backbone.variables, mean.backbone.variables):
    np.testing.assert_array_equal(actual, expected)


def test_the_last_checkpoints_of_a_run_are_averaged_without_its_optimizer(
  folders, tmp_path, capsys
):
  """Exponential averages are in the model; the trained weights are in slots of the optimizer."""
  run = tmp_path / 'run'
  os.mkdir(run)
  model_directory.copy_description(folders[0], str(run))
  model = members.load_one(folders[0]).model
  variable = model.rpn_head.variables[0]
  slots = tf.Module()
  slots.average = tf.Variable(tf.zeros_like(variable) + 100.0)
  for step, value in ((1, 7.0), (2, 1.0), (3, 2.0)):
    variable.assign(tf.fill(variable.shape, value))
    tf.train.Checkpoint(model=model, optimizer=slots).write(str(run / f'ckpt-{step}'))
  output = tmp_path / 'mean'
  assert average.main([f'--model={run}', '--last=2', f'--output={output}']) == 0
  assert '/ckpt-1' not in (text := capsys.readouterr().out)
  assert 'all of them hold exponential averages' in text
  reader = tf.train.load_checkpoint(str(output))
  assert not [key for key in reader.get_variable_to_shape_map() if 'optimizer' in key]
  np.testing.assert_array_equal(members.load_one(output).model.rpn_head.variables[0], 1.5)
  assert last_good.find(str(output)).endswith('ckpt-0')


def test_statistics_of_trained_norms_are_averaged_with_a_note_or_estimated(
  tmp_path, capsys, monkeypatch
):
  folders = two_models(tmp_path, TRAINED)
  # The path of the records is relative, and the demo may have written them.
  monkeypatch.chdir(tmp_path)
  assert average.main([*folders, f'--output={tmp_path / "mean"}']) == 0
  assert 'batch norm are averaged too, as published' in capsys.readouterr().out
  estimated = []
  flags = [f'--output={tmp_path / "again"}', '--norm_batches=3']
  assert average.main([*folders, *flags]) == 2
  assert 'task.train_data.input_path matches no file' in capsys.readouterr().err
  monkeypatch.setattr(
    norm_statistics, 'estimate', lambda task, model, num_batches: estimated.append(num_batches)
  )
  monkeypatch.setattr(data_validation, 'validate_data', lambda *_: None)
  assert average.main([*folders, *flags]) == 0
  assert estimated == [3] and 'those of 3 training batches' in capsys.readouterr().out


def test_another_configuration_with_the_same_variables_is_a_warning(folders, tmp_path, caplog):
  changes = {'model': {'backbone': {'published_resnet': FROZEN}, 'anchor': {'scale': 4.0}}}
  other = tiny_model.write(tmp_path / 'other', 1, changes=changes)
  prefixes = [f'{other}/ckpt-1', f'{folders[0]}/ckpt-1']
  averaged_directory.write_averaged_directory(prefixes, str(tmp_path / 'mean'))
  assert f'{other} and {folders[0]} differ in task.model.anchor. The mean has' in caplog.text


def test_a_failure_leaves_no_part_of_the_directory(folders, tmp_path, monkeypatch):
  monkeypatch.setattr(data_validation, 'validate_data', lambda *_: None)
  with pytest.raises(InputError, match='frozen'):
    averaged_directory.write_averaged_directory(
      [f'{folder}/ckpt-1' for folder in folders], str(tmp_path / 'mean'), norm_batches=1
    )
  assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
  'arguments,message',
  [
    ([], 'Got: neither'),
    (['a', '--model=b'], 'Got: both'),
    (['a', 'b', '--last=2'], 'Got: checkpoints with --last'),
    (['a', 'b', '--norm_batches=-1'], 'Got: -1'),
    (['none'], 'There is no checkpoint at none'),
  ],
)
def test_arguments_that_do_not_fit_are_one_line(arguments, message, tmp_path, capsys):
  assert average.main([*arguments, f'--output={tmp_path / "mean"}']) == 2
  error = capsys.readouterr().err
  assert message in error and error.count('\n') == 1


def test_an_existing_directory_is_not_overwritten(folders, capsys):
  assert average.main([*folders, f'--output={folders[0]}']) == 2
  assert 'a new folder' in capsys.readouterr().err
