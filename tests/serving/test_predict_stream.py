"""Tests of prediction on a stream of paths, in this process and as a command between pipes."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from htc_tf.cli import client as client_command
from htc_tf.cli import predict
from htc_tf.data import mask_codec
from htc_tf.errors import InputError
from htc_tf.serving import client, detectors, predict_files, predict_stream
from htc_tf.serving.instances import Instances
from htc_tf.serving.predict_stream import StreamOutputs
from htc_tf.serving.score_thresholds import ScoreThresholds

_TIMEOUT_S = 120


def _instances(image):
  height, width = image.size
  masks = np.zeros((2, height, width), np.uint8)
  masks[0, :2, :3], masks[1, 1:] = 1, 1
  rles = [coco_mask.encode(np.asfortranarray(mask)) for mask in masks]
  return Instances(
    np.array([[0, 0, 2, 3], [1, 0, height, width]], np.float32),
    np.array([1, 2]),
    np.array([0.875, 0.25], np.float32),
    [{**rle, 'counts': rle['counts'].decode()} for rle in rles],
  )


def _detector(detect=None):
  detect = detect or (lambda images: [_instances(image) for image in images])
  return predict_files.Detector(detect, ['cat', 'dog'], [7, 9])


@pytest.fixture(name='folder')
def _folder(tmp_path):
  (tmp_path / 'images').mkdir()
  for name, size in (('a.png', (6, 4)), ('b.png', (5, 8))):
    Image.new('RGB', size, (200, 30, 10)).save(tmp_path / 'images' / name)
  (tmp_path / 'images' / 'text.png').write_text('no image')
  return tmp_path / 'images'


def _run(paths, outputs=None, detector=None):
  lines = []
  end = predict_stream.predict_stream(
    detector or _detector(), map(str, paths), lines.append, outputs or StreamOutputs()
  )
  return [json.loads(line) for line in lines], end


def test_a_line_has_size_and_objects_above_the_threshold(folder):
  (line,), end = _run([folder / 'a.png'])
  assert line['path'] == str(folder / 'a.png') and line['size'] == [4, 6]
  (found,) = line['instances']
  assert {key: found[key] for key in ('class', 'category_id', 'score', 'box')} == {
    'class': 'cat',
    'category_id': 7,
    'score': 0.875,
    'box': [0.0, 0.0, 3.0, 2.0],
  }
  mask = mask_codec.decode(found['rle'])
  assert mask.shape == (4, 6) and mask.sum() == 6 and mask[:2, :3].all()
  assert end == (
    0,
    True,
    '1 image, 1 object with a score of 0.3 or more (cat 1); 0 images could not be read',
  )


def test_each_path_is_answered_before_the_next_is_asked_for(folder):
  lines, asked = [], []

  def paths():
    for name in ('a.png', 'b.png', 'text.png', 'a.png'):
      asked.append(len(lines))
      yield str(folder / name)

  predict_stream.predict_stream(_detector(), paths(), lines.append, StreamOutputs())
  assert asked == [0, 1, 2, 3] and len(lines) == 4


def test_what_cannot_be_read_is_an_error_in_its_line(folder, tmp_path):
  os.mkfifo(tmp_path / 'pipe')
  paths = [folder / 'text.png', tmp_path / 'none.png', folder, tmp_path / 'pipe', 'a\0.png']
  lines, end = _run([*paths, folder / 'b.png'])
  assert [line['path'] for line in lines] == [*map(str, paths), str(folder / 'b.png')]
  assert all(set(line) == {'path', 'error'} for line in lines[:-1])
  assert 'text.png cannot be read' in lines[0]['error'] and 'a folder' in lines[2]['error']
  assert len(lines[-1]['instances']) == 1 and end.num_failed == 5


def test_the_files_of_the_folder_are_those_of_a_prediction(folder, tmp_path):
  output = tmp_path / 'out'
  outputs = StreamOutputs(str(output), ('overlay', 'csv'), ScoreThresholds(0.2))
  paths = [folder / 'a.png', folder / 'text.png', folder / 'b.png', folder / 'a.png']
  _, end = _run(paths, outputs)
  images = json.loads((output / 'images.json').read_text())['images']
  assert [image['id'] for image in images] == [1, 3, 4]
  assert [image['overlay'] for image in images] == ['a.png', 'b.png', 'a_2_png.png']
  assert all((output / image['overlay']).exists() for image in images)
  assert len(json.loads((output / 'predictions.json').read_text())) == 6
  assert len((output / 'measurements.csv').read_text().splitlines()) == 1 + 6
  assert end.summary.startswith('3 images, 6 objects with a score of 0.2 or more')
  assert not list(output.glob('.*'))


def test_files_are_complete_before_their_line(folder, tmp_path):
  seen = []

  def write(line):
    seen.append(os.path.exists(tmp_path / 'out' / os.path.basename(json.loads(line)['path'])))

  outputs = StreamOutputs(str(tmp_path / 'out'))
  paths = [str(folder / 'a.png'), str(folder / 'b.png')]
  predict_stream.predict_stream(_detector(), paths, write, outputs)
  assert seen == [True, True]


def test_an_image_in_the_output_folder_is_not_replaced(folder):
  before = (folder / 'a.png').read_bytes()
  (line,), end = _run([folder / 'a.png'], StreamOutputs(str(folder)))
  assert 'holds images to predict on' in line['error'] and end.num_failed == 1
  assert (folder / 'a.png').read_bytes() == before


def test_a_reader_that_has_gone_ends_the_stream_with_what_is_done(folder, tmp_path):
  def write(line):
    if 'b.png' in line:
      raise BrokenPipeError

  paths = [str(folder / name) for name in ('a.png', 'b.png', 'a.png')]
  outputs = StreamOutputs(str(tmp_path / 'out'))
  end = predict_stream.predict_stream(_detector(), iter(paths), write, outputs)
  assert not end.is_heard
  assert len(json.loads((tmp_path / 'out' / 'images.json').read_text())['images']) == 2


def test_an_interruption_keeps_what_is_done_and_says_how_much(folder, tmp_path):
  def paths():
    yield str(folder / 'a.png')
    raise KeyboardInterrupt

  outputs = StreamOutputs(str(tmp_path / 'out'))
  with pytest.raises(KeyboardInterrupt, match=r'interrupted; 1 images are done and in .*out/pred'):
    predict_stream.predict_stream(_detector(), paths(), lambda line: None, outputs)
  assert len(json.loads((tmp_path / 'out' / 'images.json').read_text())['images']) == 1
  with pytest.raises(KeyboardInterrupt, match=r'interrupted; 1 images are done$'):
    predict_stream.predict_stream(_detector(), paths(), lambda line: None, StreamOutputs())


def _with_input(monkeypatch, content):
  monkeypatch.setattr(sys, 'stdin', io.TextIOWrapper(io.BytesIO(content)))
  monkeypatch.setattr(detectors, 'load_detector', lambda *_: _detector())
  monkeypatch.setattr(client, 'remote_detector', lambda *_: _detector())


_COMMANDS = [(predict, '--model=none'), (client_command, '--server=http://none')]


@pytest.mark.parametrize('command, flag', _COMMANDS)
def test_standard_output_has_the_lines_alone(folder, monkeypatch, capsys, command, flag):
  content = f'{folder}/a.png\r\n\n{folder}/b.png'.encode()
  _with_input(monkeypatch, content)
  assert command.main([flag, '-']) == 0
  captured = capsys.readouterr()
  assert [json.loads(line)['size'] for line in captured.out.splitlines()] == [[4, 6], [8, 5]]
  assert '2 images, 2 objects' in captured.err and '1 empty lines' in captured.err


def test_unreadable_images_give_the_exit_status_of_files(folder, monkeypatch, capsys):
  _with_input(monkeypatch, f'{folder}/text.png\n{folder}/b.png\n'.encode())
  assert predict.main(['--model=none', '-']) == 1
  assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_missing_path_is_answered_as_an_input(folder, monkeypatch, capsys):
  _with_input(monkeypatch, f'{folder}/none.png\n'.encode())
  assert predict.main(['--model=none', '-']) == 1
  error = json.loads(capsys.readouterr().out)['error']
  assert 'Expected: an existing file. Got' in error and 'output' not in error


def test_names_that_are_no_text_are_given_back(folder, monkeypatch, capsys):
  path = os.fsencode(folder) + b'/caf\xe9.png'
  os.rename(folder / 'a.png', path)
  _with_input(monkeypatch, path + b'\n')
  assert predict.main(['--model=none', '-']) == 0
  (line,) = capsys.readouterr().out.splitlines()
  assert os.fsencode(json.loads(line)['path']) == path


@pytest.mark.parametrize(
  'arguments, message',
  [
    (['-', 'a.png'], 'Expected: - alone'),
    (['-', '--annotations=a.json'], 'no --annotations beside -'),
    (['-', '--batch_size=2'], 'no --batch_size beside -'),
    (['-', '--track'], 'no --track beside -'),
    (['-', '--save=nonsense'], '--save has no effect without --output'),
    (['-', '--save=masks'], '--save has no effect without --output'),
    (['a.png'], 'There is no output folder'),
  ],
)
@pytest.mark.parametrize('command, flag', _COMMANDS)
def test_arguments_that_do_not_fit_are_refused(
  monkeypatch, capsys, command, flag, arguments, message
):
  _with_input(monkeypatch, b'')
  assert command.main([flag, *arguments]) == 2
  assert message in capsys.readouterr().err


def test_a_report_of_other_classes_is_refused_before_the_first_path():
  outputs = StreamOutputs(thresholds=ScoreThresholds(0.3, {'cow': 0.5}, 'metrics.json'))
  with pytest.raises(InputError, match='Got: cow'):
    _run([pytest.param], outputs)


class _Process:
  """The command between pipes, with a limit on the time of every answer."""

  def __init__(self, log, *arguments):
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
    self._log = open(log, 'w+b')  # noqa: SIM115
    self.process = subprocess.Popen(
      [sys.executable, '-m', 'htc_tf.cli.predict', *arguments],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=self._log,
      env=environment,
    )
    self._timer = threading.Timer(_TIMEOUT_S, self.process.kill)
    self._timer.start()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self._timer.cancel()
    self.process.kill()
    self.process.wait()
    for stream in (self.process.stdin, self.process.stdout, self._log):
      with contextlib.suppress(BrokenPipeError):
        stream.close()

  def ask(self, path):
    self.process.stdin.write(f'{path}\n'.encode())
    self.process.stdin.flush()
    return json.loads(self.process.stdout.readline())

  def log(self):
    self._log.seek(0)
    return self._log.read().decode()


def test_a_process_answers_before_the_end_of_the_input_and_ends_cleanly(
  model_dir, folder, tmp_path
):
  arguments = [f'--model={model_dir}', '--score_threshold=0', '-']
  with _Process(tmp_path / 'log', *arguments) as running:
    first = running.ask(folder / 'a.png')
    assert first['size'] == [4, 6] and 'instances' in first
    assert 'error' in running.ask(folder / 'text.png')
    rest, _ = running.process.communicate(timeout=_TIMEOUT_S)
    assert rest == b'' and running.process.returncode == 1, running.log()
    assert '1 images could not be read' in running.log()


def test_a_process_that_is_interrupted_or_not_heard_keeps_what_is_done(model_dir, folder, tmp_path):
  for name, status in (('interrupted', 130), ('gone', 141)):
    output = tmp_path / name
    arguments = [f'--model={model_dir}', f'--output={output}', '-']
    with _Process(tmp_path / f'{name}.log', *arguments) as running:
      running.ask(folder / 'a.png')
      if name == 'gone':
        running.process.stdout.close()
        running.process.stdin.write(f'{folder}/b.png\n'.encode())
        running.process.stdin.flush()  # The input goes on, but nobody reads the answer.
      else:
        running.process.send_signal(signal.SIGINT)
      assert running.process.wait(_TIMEOUT_S) == status, running.log()
      assert 'Traceback' not in running.log() and 'Exception' not in running.log()
    done = json.loads((output / 'images.json').read_text())['images']
    assert len(done) == (2 if name == 'gone' else 1)
    assert not list(output.glob('.*'))
