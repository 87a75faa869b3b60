"""Tests of the shared part of all commands: exit status, messages, interruption, `python -m`."""

import argparse
import errno
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from htc_tf import cli, file_errors
from htc_tf.cli import command
from htc_tf.errors import ConfigError, DataError

_MODULES = sorted(
  path.stem
  for path in pathlib.Path(cli.__file__).parent.glob('*.py')
  if path.stem not in ('__init__', 'command', 'image_arguments', 'model_arguments')
)


_FULL = os.strerror(errno.ENOSPC)


def _explained(path, number, text):
  return f'error: {file_errors.explained(OSError(number, text, path))}\n'


def run(execute):
  parser = argparse.ArgumentParser()
  parser.add_argument('--number', type=int, required=True)
  return command.run(parser, execute, ['--number=3'], 'interrupted; start it again')


def raising(error):
  def execute(args):
    assert args.number == 3
    raise error

  return execute


@tf.function(autograph=False)
def failing_graph():
  def fail():
    raise DataError('no data', got='nothing')

  return tf.numpy_function(fail, [], tf.bool)


_OOM_LINE = 'OOM when allocating tensor with shape[1,9]'
_OOM = f'Graph execution error:\n\n{{{{function_node __wrapped__Mul}}}} {_OOM_LINE}\nHint: a hint'
_ARRAY = (
  'Unable to allocate 7.11 PiB for an array with shape (1000000000000000,) and data type float64'
)
_MEMORY = (
  'error: There is not enough memory. Expected: a model, images and batches that fit into the '
  'memory of this machine. Got: {}. Likely cause: images that are resized to a very large size '
  '(--tta, --image_size, --params_override), a large batch (--batch_size), or other programs that '
  'take the memory.\n'
)


@pytest.mark.parametrize(
  'execute, status, message',
  [
    (lambda args: args.number - 3, 0, ''),
    (lambda args: args.number - 2, 1, ''),
    (raising(ConfigError('wrong', got='x')), 2, 'error: wrong. Got: x.\n'),
    (raising(OSError(28, 'No space', 'a')), 2, _explained('a', 28, 'No space')),
    (raising(tf.errors.UnknownError(None, None, f'a; {_FULL}')), 2, _explained('a', 28, _FULL)),
    (
      raising(MemoryError('Unable to allocate 9 GiB')),
      2,
      _MEMORY.format('Unable to allocate 9 GiB'),
    ),
    (lambda _: int(np.zeros([10**15])[0]), 2, _MEMORY.format(_ARRAY)),
    (raising(tf.errors.ResourceExhaustedError(None, None, _OOM)), 2, _MEMORY.format(_OOM_LINE)),
    (lambda _: bool(failing_graph()), 1, 'error: no data. Got: nothing.\n'),
    (raising(KeyboardInterrupt()), 130, 'interrupted; start it again\n'),
  ],
)
def test_exit_status_and_message(capsys, execute, status, message):
  assert run(execute) == status
  assert capsys.readouterr().err == message


def test_other_errors_are_raised():
  with pytest.raises(ZeroDivisionError):
    run(lambda args: 1 // 0)


def test_wrong_flags_exit_with_2(capsys):
  with pytest.raises(SystemExit) as stop:
    command.run(argparse.ArgumentParser(), lambda args: 0, ['--wrong'])
  assert stop.value.code == 2 and '--wrong' in capsys.readouterr().err


@pytest.mark.parametrize('module', _MODULES)
def test_every_command_runs_as_a_module_and_as_a_script(module):
  """The script is installed under the name of the module, with hyphens."""
  script = os.path.join(os.path.dirname(sys.executable), f'htc-{module.replace("_", "-")}')
  answers = [
    subprocess.run([*start, '--help'], capture_output=True, text=True, check=False)
    for start in ([sys.executable, '-m', f'htc_tf.cli.{module}'], [script])
  ]
  for answer in answers:
    assert (answer.returncode == 0 and 'output' in answer.stdout) or 'model_dir' in answer.stdout
  assert not any(answer.stderr for answer in answers)


@pytest.mark.parametrize(
  'devices,given,level', [((), None, '3'), (('/',), None, '2'), ((), '0', '0'), (('/',), '1', '1')]
)
def test_notices_about_missing_drivers_are_hidden_without_a_gpu(monkeypatch, devices, given, level):
  monkeypatch.setattr(command, '_GPU_DEVICES', devices)
  monkeypatch.setenv('TF_CPP_MIN_LOG_LEVEL', given or '')
  if given is None:
    monkeypatch.delenv('TF_CPP_MIN_LOG_LEVEL')
  command.prepare_tensorflow('2')
  assert os.environ['TF_CPP_MIN_LOG_LEVEL'] == level


@pytest.mark.parametrize('given', [None, '0'])
def test_tensorflow_imports_one_keras_unless_the_environment_says_otherwise(given):
  code = (
    'import sys\n'
    'from htc_tf.cli import command\n'
    "command.prepare_tensorflow('2')\n"
    'import tensorflow, tf_keras\n'
    "print('keras' in sys.modules)"
  )
  environment = {key: value for key, value in os.environ.items() if key != 'TF_USE_LEGACY_KERAS'}
  if given is not None:
    environment['TF_USE_LEGACY_KERAS'] = given
  found = subprocess.run(
    [sys.executable, '-c', code], env=environment, capture_output=True, text=True, check=True
  )
  assert found.stdout.strip() == str(given == '0')
