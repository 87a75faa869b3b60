"""Tests that every command answers a path that it cannot use with one line and status 2.

First the outputs: a file where a folder is expected, /proc, a full disk, missing permission. A
limit on the size of files makes the same writes fail as a full disk. Then the inputs.
"""

import contextlib
import os
import pathlib
import resource
import shutil
from typing import NamedTuple

import gin
import pytest
import tensorflow as tf
from absl.testing import flagsaver

from htc_tf.checkpoints import readability
from htc_tf.cli import (
  average,
  client,
  convert,
  create_coco_records,
  demo,
  evaluate,
  export,
  lower,
  predict,
  show,
  train,
)
from htc_tf.serving import lowering
from tests import tiny_records
from tests.cli import small_trainings, test_convert
from tests.serving import conftest as serving

pytestmark = pytest.mark.usefixtures('defined_flags')

model_dir = serving.model_dir
coco_model, published, small = test_convert.coco_model, test_convert.published, test_convert.small
_LIMIT_BYTES = 1000  # Smaller than some file that each command writes.


class Inputs(NamedTuple):
  """Usable inputs of all commands; a test replaces one of them."""

  annotations: str
  image_folder: str
  image: str
  model: str
  published: str
  config: str
  stuff_folder: str = ''
  export: str = ''
  overrides: str = ''


@pytest.fixture(scope='module', name='inputs')
def _inputs(model_dir, published, small, tmp_path_factory):
  folder = tmp_path_factory.mktemp('inputs')
  records = tiny_records.write(folder, num_images=2)
  params = tiny_records.reduced('htc_nuclei', records)
  params.task.model.cascade.stages = params.task.model.cascade.stages[:1]
  schedule = dict.fromkeys(
    ('train_steps', 'steps_per_loop', 'summary_interval', 'checkpoint_interval'), 1
  )
  small_trainings.write_config(folder / 'train.yaml', params, **schedule)
  images = folder / 'train_images'
  return Inputs(
    str(folder / 'train_source.json'),
    str(images),
    str(images / '1.png'),
    model_dir,
    str(published),
    small.removeprefix('--config_file='),
  )


def _records(inputs, output):
  stuff = [f'--stuff_folder={inputs.stuff_folder}', '--semantic=stuff_maps']
  return create_coco_records.main(
    [
      f'--annotations={inputs.annotations}',
      f'--image_folder={inputs.image_folder}',
      f'--output_folder={output}',
      '--num_processes=1',
      *(stuff if inputs.stuff_folder else []),
    ]
  )


def _convert(inputs, output):
  flags = [test_convert.EXPERIMENT, f'--config_file={inputs.config}', f'--output={output}']
  return convert.main([inputs.published, *flags])


def _export(inputs, output):
  return export.main([f'--model={inputs.model}', f'--output={output}', '--no_warmup'])


def _average(inputs, output):
  other = pathlib.Path(inputs.config).with_name('other')
  if not other.exists():
    shutil.copytree(inputs.model, other)
  return average.main([inputs.model, str(other), f'--output={output}'])


def _lower(inputs, output):
  sides = ['--height=64', '--width=64']
  return lower.main([f'--model={inputs.model}', f'--output={output}', *sides])


def _predict(inputs, output):
  return predict.main([f'--model={inputs.model}', f'--output={output}', inputs.image])


def _client(inputs, output):
  exported = [f'--export={inputs.export}'] if inputs.export else []
  server = '--server=http://localhost:1'  # No server is reached before the output is checked.
  return client.main([server, f'--output={output}', *exported, inputs.image])


def _report(inputs, output):
  results = pathlib.Path(inputs.config).with_name('results.json')
  results.write_text('[]')
  return evaluate.main(
    [f'--results={results}', f'--annotations={inputs.annotations}', f'--output={output}']
  )


def _demo(inputs, output):
  del inputs
  return demo.main([f'--output={output}', '--train_steps=1'])


def _train(inputs, output, mode='train'):
  gin.clear_config()
  config = str(pathlib.Path(inputs.annotations).with_name('train.yaml'))
  with flagsaver.flagsaver(
    experiment='htc_nuclei',
    mode=mode,
    model_dir=str(output),
    config_file=[config],
    params_override=inputs.overrides,
  ):
    return train.main([])


def _evaluate(inputs, output):
  return _train(inputs, output, 'eval')


def _train_and_evaluate(inputs, output):
  return _train(inputs, output, 'train_and_eval')


def _show(inputs, output):
  records = pathlib.Path(inputs.annotations).with_name('records')
  return show.main([str(records), f'--output={output}', '--samples=1', '--views=1'])


_COMMANDS = {
  'create_coco_records': _records,
  'convert': _convert,
  'export': _export,
  'average': _average,
  'lower': _lower,
  'predict': _predict,
  'client': _client,
  'demo': _demo,
  'evaluate': _report,
  'train': _train,
  'show': _show,
}
_every_command = pytest.mark.parametrize('command', _COMMANDS)


@pytest.fixture(name='assert_refused')
def _assert_refused(inputs, capsys, caplog):
  """A function that runs a command, which must answer with one line that names the path."""

  def run(command, output, named, expected='Expected: ', status=2, **changes):
    caplog.clear()
    answer = command(inputs._replace(**changes), output)
    captured = capsys.readouterr().err
    lines = [line.split('error: ', 1)[1] for line in captured.splitlines() if 'error: ' in line]
    lines += [record.message for record in caplog.records if record.levelname == 'ERROR']
    assert answer == status and 'Traceback' not in captured
    (line,) = lines
    assert str(named) in line and expected in line and 'Likely cause: ' in line, line

  return run


@_every_command
def test_a_file_in_place_of_the_output_folder_stays_as_it_is(command, tmp_path, assert_refused):
  (tmp_path / 'file').write_text('mine')
  assert_refused(_COMMANDS[command], tmp_path / 'file', tmp_path / 'file')
  assert (tmp_path / 'file').read_text() == 'mine'
  assert os.listdir(tmp_path) == ['file']


@_every_command
def test_an_empty_output_is_not_the_working_directory(
  command, tmp_path, assert_refused, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  assert_refused(_COMMANDS[command], '', 'is empty', 'variable of the shell that is not set')
  assert not os.listdir(tmp_path)


@_every_command
def test_an_output_below_a_file_is_refused(command, tmp_path, assert_refused):
  (tmp_path / 'file').write_text('mine')
  assert_refused(
    _COMMANDS[command], tmp_path / 'file' / 'new' / 'x', tmp_path / 'file', 'Got: Not a directory'
  )
  assert os.listdir(tmp_path) == ['file']


@_every_command
def test_an_output_in_proc_is_refused(command, assert_refused):
  assert_refused(_COMMANDS[command], '/proc/x/1', '/proc/x', 'a place like /proc that takes no fil')


@contextlib.contextmanager
def _small_files_only(num_bytes=_LIMIT_BYTES):
  """A context in which larger files cannot be written, with the error of a full disk or quota."""
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize('command', sorted(set(_COMMANDS) - {'client'}))
def test_a_full_disk_leaves_no_part_of_a_file(command, tmp_path, assert_refused, monkeypatch):
  output = tmp_path / 'out'
  # The compilation takes long, and only the writing matters here.
  program = lowering.LoweredProgram(b'0' * 2 * _LIMIT_BYTES, [], [])
  monkeypatch.setattr(lowering, 'lower_detection', lambda *_: program)

  def run(inputs, folder):
    # What the test captures is a file as well, and these commands log more than the small limit.
    logs_much = command in ('export', 'train')
    with _small_files_only(100 * _LIMIT_BYTES if logs_much else _LIMIT_BYTES):
      return _COMMANDS[command](inputs, folder)

  assert_refused(run, output, output, 'Got: File too large')
  assert not [path for path in tmp_path.rglob('*') if '.part' in path.name]
  if command in ('average', 'convert', 'export', 'lower'):
    assert not os.listdir(tmp_path)


def test_a_disk_that_is_full_at_the_first_checkpoint_ends_a_training(tmp_path, assert_refused):
  def run(inputs, folder):
    with _small_files_only(200_000):  # All files but the checkpoint fit.
      return _train(inputs, folder)

  assert_refused(run, tmp_path / 'model', tmp_path / 'model' / 'ckpt-1', 'Got: File too large')


@_every_command
def test_a_folder_without_permission_is_refused(command, tmp_path, assert_refused, monkeypatch):
  """The tests may run as root, who may write everywhere, so the system's answer is replaced."""

  def deny(path, *_, **__):
    raise PermissionError(13, 'Permission denied', str(path))

  def deny_tensorflow(path):
    raise tf.errors.PermissionDeniedError(None, None, f'{path}; Permission denied')

  monkeypatch.setattr(os, 'mkdir', deny)
  monkeypatch.setattr(tf.io.gfile, 'makedirs', deny_tensorflow)
  assert_refused(_COMMANDS[command], tmp_path / 'out', tmp_path / 'out', 'another user')
  assert not os.listdir(tmp_path)


# A command that reads each input.
_READERS = {
  'annotations': _records,
  'image_folder': _records,
  'stuff_folder': _records,
  'published': _convert,
  'config': _convert,
  'model': _export,
  'export': _client,
}


@pytest.mark.parametrize('name', _READERS)
@pytest.mark.parametrize('kind', ['missing', 'empty file', 'empty folder', 'below a file', 'loop'])
def test_an_input_that_cannot_be_used_is_named(name, kind, tmp_path, assert_refused):
  command = _READERS[name]
  path = tmp_path / 'input'
  if kind in ('empty file', 'below a file'):
    path.touch()
  elif kind == 'empty folder':
    path.mkdir()
  elif kind == 'loop':
    path.symlink_to(path)
  if kind == 'below a file':
    path = path / 'x'
  # The parser of Model Garden does not name the YAML file that it finds empty.
  named = '' if (name, kind) == ('config', 'empty file') else path
  assert_refused(command, tmp_path / 'out', named, **{name: str(path)})
  assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('command', [_average, _lower, _predict])
def test_every_command_that_loads_a_model_says_that_there_is_none(
  command, tmp_path, assert_refused
):
  assert_refused(command, tmp_path / 'out', tmp_path / 'none', model=str(tmp_path / 'none'))
  assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('command', [_predict, _client])
def test_a_missing_image_is_named(command, tmp_path, assert_refused):
  assert_refused(command, tmp_path / 'out', tmp_path / 'none', image=str(tmp_path / 'none'))
  assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
  'key, command',
  [
    ('task.train_data.input_path', _train),
    ('task.validation_data.input_path', _train_and_evaluate),
    ('task.annotation_file', _train_and_evaluate),
    ('task.init_checkpoint', _train),
  ],
)
@pytest.mark.parametrize('kind', ['missing', 'empty'])
def test_an_input_of_the_training_that_cannot_be_used_is_named(
  key, command, kind, tmp_path, assert_refused
):
  path = tmp_path / 'input'
  if kind == 'empty':
    path.touch()
  assert_refused(command, tmp_path / 'model', path, overrides=f'{key}={path}')


@pytest.fixture(scope='module', name='exported')
def _exported(inputs, tmp_path_factory):
  folder = tmp_path_factory.mktemp('export') / '1'
  assert _export(inputs, folder) == 0
  return folder


@pytest.mark.parametrize('name', ['saved_model.pb', 'variables.index', 'variables.data'])
def test_a_damaged_export_is_an_error(name, exported, tmp_path, assert_refused):
  shutil.copytree(exported, tmp_path / '1')
  (path,) = (tmp_path / '1').rglob(f'{name}*')
  path.write_bytes(b'')
  assert_refused(_predict, tmp_path / 'out', tmp_path / '1', model=str(tmp_path / '1'))
  assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('name', ['params.yaml', 'ckpt-1.index', 'ckpt-1.data-00000-of-00001'])
def test_a_model_without_permission_is_not_called_damaged(
  name, inputs, tmp_path, assert_refused, monkeypatch
):
  denied = f'{tmp_path}/{name}; Permission denied'

  def deny(*_):
    raise tf.errors.PermissionDeniedError(None, None, denied)

  if name == 'params.yaml':
    monkeypatch.setattr(tf.io.gfile.GFile, 'read', deny)
    assert_refused(_predict, tmp_path / 'out', tmp_path, 'another user')
  else:
    monkeypatch.setattr(readability, 'open_reader', deny)
    assert_refused(_predict, tmp_path / 'out', 'ckpt-1', 'another user')
