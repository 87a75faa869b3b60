"""Tests of the commands on videos."""

import os

import numpy as np
import pytest
from PIL import Image

from htc_tf.cli import client as client_command
from htc_tf.cli import predict
from htc_tf.serving import client, detectors
from htc_tf.serving.score_thresholds import ScoreThresholds
from tests.running_command import RunningCommand
from tests.serving.video import clips

_COMMANDS = [(predict, '--model=none'), (client_command, '--server=http://none')]


@pytest.fixture(name='stubbed')
def _stubbed(monkeypatch):
  monkeypatch.setattr(detectors, 'load_detector', lambda *_: clips.detector())
  closed = clips.detector()._replace(close=lambda: None)
  monkeypatch.setattr(client, 'remote_detector', lambda *_: closed)


@pytest.mark.parametrize('command, flag', _COMMANDS)
def test_a_folder_of_images_and_videos(tmp_path, stubbed, capsys, command, flag):
  (tmp_path / 'both').mkdir()
  clips.write(tmp_path / 'both' / 'clip.MP4', 3)
  Image.fromarray(clips.frame(0)).save(tmp_path / 'both' / 'clip.png')
  arguments = [flag, f'--output={tmp_path}/out', '--track', '--batch_size=2', f'{tmp_path}/both']
  assert command.main(arguments) == 0
  first, second = capsys.readouterr().out.splitlines()
  assert first.startswith('1 image, 1 object') and second.startswith('1 of 1 videos, 1 tracks')
  assert sorted(os.listdir(tmp_path / 'out')) == [
    *('clip.jsonl', 'clip.png', 'clip_overlay.mp4', 'images.json', 'predictions.json')
  ]


@pytest.mark.parametrize(
  'arguments, message',
  [
    (['--save=masks', 'clip.mp4'], 'clip.mp4 is a video'),
    (['--annotations=a.json', 'clip.mp4'], 'images alone with --annotations'),
    (['--track', 'clip.png'], 'a video with --track'),
    (['--batch_size=0', 'clip.mp4'], 'batch size is out of range'),
    (['folder.mp4'], 'There are no images'),
  ],
)
def test_flags_that_do_not_fit_are_refused_before_the_model_is_loaded(
  tmp_path, monkeypatch, capsys, arguments, message
):
  monkeypatch.chdir(tmp_path)
  clips.write('clip.mp4', 1)
  os.mkdir('folder.mp4')
  Image.fromarray(clips.frame(0)).save('clip.png')
  monkeypatch.setattr(detectors, 'load_detector', lambda *_: pytest.fail('loaded'))
  assert predict.main(['--model=none', '--output=out', *arguments]) == 2
  assert message in capsys.readouterr().err and not os.path.exists('out')


@pytest.mark.parametrize('kind', ['model_dir', 'saved_model'])
def test_batches_give_the_detections_of_single_frames(request, tmp_path, kind):
  frames = list(np.random.default_rng(0).integers(0, 256, (5, 48, 64, 3), np.uint8))
  path = clips.write(tmp_path / 'clip.avi', frames=frames, codec='MJPG')
  detector = detectors.load_detector(request.getfixturevalue(kind))
  found = {}
  for size in (1, 2):
    clips.predict(
      tmp_path, [path], model=detector, batch_size=size, thresholds=ScoreThresholds(0.0), save=()
    )
    found[size] = clips.lines(tmp_path / 'out' / 'clip.jsonl')
  assert len(found[1]) == len(found[2]) == 5
  for single, batched in zip(found[1], found[2]):
    assert len(single['instances']) == len(batched['instances']) > 0
    for key in ('score', 'box'):
      expected = [instance[key] for instance in single['instances']]
      np.testing.assert_allclose(
        [instance[key] for instance in batched['instances']], expected, atol=1e-3
      )


def test_a_stopped_command_leaves_a_playable_part(model_dir, tmp_path):
  path = clips.write(tmp_path / 'clip.mp4', 2000)
  output = tmp_path / 'out'
  arguments = ['-m', 'htc_tf.cli.predict', f'--model={model_dir}', f'--output={output}', path]

  def has_frames():
    growing = list(output.glob('.clip.*.part.jsonl'))
    return bool(growing) and growing[0].read_bytes().count(b'\n') > 3

  with RunningCommand(tmp_path, *arguments) as command:
    command.wait_until(has_frames)
    assert command.end() == 130
    message = command.last_line()
  assert sorted(os.listdir(output)) == ['clip.partial.jsonl', 'clip_overlay.partial.mp4']
  num_lines = len(clips.lines(output / 'clip.partial.jsonl'))
  assert 3 < num_lines < 2000 and f'interrupted; {num_lines} frames of {path} are done' in message
  assert len(clips.read(output / 'clip_overlay.partial.mp4')[0]) == num_lines
