"""Tests of prediction on videos, and of its command."""

import contextlib
import json
import os
import weakref

import numpy as np
import pytest
from PIL import Image

from htc_tf.cli import client as client_command
from htc_tf.cli import predict
from htc_tf.data import mask_codec
from htc_tf.data.sample_format import SampleFormat
from htc_tf.errors import InputError
from htc_tf.serving import client, detectors
from htc_tf.serving.score_thresholds import ScoreThresholds
from htc_tf.serving.tiling import Tiling
from htc_tf.serving.video import predict_video
from htc_tf.serving.video.predict_video import VideoOptions
from tests.running_command import RunningCommand
from tests.serving.video import clips


def _run(tmp_path, paths, calls=None, detector=None, **options):
  lines = []
  failed = predict_video.predict_videos(
    detector or clips.detector(calls),
    [str(path) for path in paths],
    VideoOptions(str(tmp_path / 'out'), **options),
    lines.append,
  )
  return failed, lines


def _lines(path):
  return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize('name, codec', [('clip.mp4', 'mp4v'), ('clip.avi', 'MJPG')])
@pytest.mark.parametrize('batch_size', [1, 4, 32])
def test_every_frame_has_a_line_and_an_overlay(tmp_path, name, codec, batch_size):
  calls = []
  path = clips.write(tmp_path / name, 10, codec=codec)
  failed, (summary,) = _run(tmp_path, [path], calls, batch_size=batch_size)
  assert not failed and sorted(os.listdir(tmp_path / 'out')) == ['clip.jsonl', 'clip_overlay.mp4']
  assert sum(calls) == 10 and max(calls) == min(batch_size, 10)
  assert calls[-1] == 10 % batch_size or batch_size == 1
  lines = _lines(tmp_path / 'out' / 'clip.jsonl')
  assert [line['frame'] for line in lines] == list(range(10))
  assert [line['time'] for line in lines] == [number / clips.RATE for number in range(10)]
  for number, line in enumerate(lines):
    (found,) = line['instances']
    assert line['size'] == [48, 64] and found['class'] == 'cat' and 'track' not in found
    # Compression moves the edges by a pixel.
    expected = [2 * number, 8, 2 * number + 16, 24]
    np.testing.assert_allclose(found['box'], expected, atol=1.5)
    assert abs(mask_codec.decode(found['rle']).sum() - 256) < 40
  frames, rate = clips.read(tmp_path / 'out' / 'clip_overlay.mp4')
  assert len(frames) == 10 and rate == clips.RATE and frames[0].shape == (48, 64, 3)
  expected = (
    '1 of 1 videos, 10 frames, 10 objects with a score of 0.3 or more (cat 10), 2 files in '
  )
  assert summary == f'{expected}{tmp_path}/out'


def test_the_overlay_has_the_colors_and_the_objects_of_the_frame(tmp_path):
  frames = [np.full((48, 64, 3), (20, 40, 200), np.uint8)] * 2 + [clips.frame(0)] * 2
  path = clips.write(tmp_path / 'clip.mp4', frames=frames)
  _run(tmp_path, [path])
  shown, _ = clips.read(tmp_path / 'out' / 'clip_overlay.mp4')
  np.testing.assert_allclose(shown[0][24, 32], (20, 40, 200), atol=15)  # Blue stays blue.
  changed = np.abs(shown[3].astype(int) - clips.frame(0)).sum(-1)
  assert changed[8:24, :16].mean() > 60 and np.median(changed[40:, 40:]) < 30


def test_frames_are_read_as_they_are_needed_and_not_kept(tmp_path, monkeypatch):
  read, is_read, kept = predict_video.VideoFrames._read, [], []

  def counted(self):
    pixels = read(self)
    is_read.append(0 if pixels is None else weakref.ref(pixels))
    return pixels

  def detect(images):
    kept.append((len(is_read), sum(bool(frame and frame() is not None) for frame in is_read)))
    return [clips.find_red(image) for image in images]

  monkeypatch.setattr(predict_video.VideoFrames, '_read', counted)
  path = clips.write(tmp_path / 'clip.mp4', 60)
  _run(tmp_path, [path], detector=clips.detector()._replace(detect=detect), batch_size=4)
  assert [count for count, _ in kept] == [*range(4, 61, 4)]
  assert max(alive for _, alive in kept) <= 4


@pytest.mark.parametrize('size', [(63, 47), (64, 47), (63, 48)])
def test_odd_sizes_lose_no_pixels(tmp_path, monkeypatch, size):
  # The codecs of the test write even sizes alone, so that the frames are cut after reading.
  path = clips.write(tmp_path / 'clip.mp4', 4)
  read = predict_video.VideoFrames._read

  def cut(self):
    pixels = read(self)
    return None if pixels is None else np.ascontiguousarray(pixels[: size[1], : size[0]])

  monkeypatch.setattr(predict_video.VideoFrames, '_read', cut)
  _run(tmp_path, [path])
  frames, _ = clips.read(tmp_path / 'out' / 'clip_overlay.mp4')
  assert len(frames) == 4 and frames[0].shape == (48, 64, 3)
  assert {tuple(line['size']) for line in _lines(tmp_path / 'out' / 'clip.jsonl')} == {size[::-1]}


def test_a_turned_video_is_upright_in_all_outputs(tmp_path):
  clips.write(tmp_path / 'clip.mp4', 4)
  clips.turn(tmp_path / 'clip.mp4')
  _run(tmp_path, [tmp_path / 'clip.mp4'])
  frames, _ = clips.read(tmp_path / 'out' / 'clip_overlay.mp4')
  assert frames[0].shape == (64, 48, 3)
  line = _lines(tmp_path / 'out' / 'clip.jsonl')[0]
  # The square at rows 8..24 and columns 0..16 of a picture of 64 x 48, turned clockwise.
  assert line['size'] == [64, 48]
  np.testing.assert_allclose(line['instances'][0]['box'], [24, 0, 40, 16], atol=1.5)


def test_tracks_are_in_the_lines_and_drawn(tmp_path):
  path = clips.write(tmp_path / 'clip.mp4', 6)
  _, (summary,) = _run(tmp_path, [path], track=True)
  lines = _lines(tmp_path / 'out' / 'clip.jsonl')
  assert [line['instances'][0]['track'] for line in lines] == [1] * 6
  assert '1 tracks' in summary
  tracked, _ = clips.read(tmp_path / 'out' / 'clip_overlay.mp4')
  _run(tmp_path, [path])
  plain, _ = clips.read(tmp_path / 'out' / 'clip_overlay.mp4')
  assert np.abs(tracked[0].astype(int) - plain[0]).max() > 60


def test_each_video_has_tracks_of_its_own(tmp_path):
  paths = [clips.write(tmp_path / f'{name}.mp4', 3) for name in 'ab']
  _, (summary,) = _run(tmp_path, paths, track=True)
  assert '2 of 2 videos, 2 tracks, 6 frames' in summary
  for name in 'ab':
    lines = _lines(tmp_path / 'out' / f'{name}.jsonl')
    assert [line['instances'][0]['track'] for line in lines] == [1, 1, 1]


def test_thresholds_decide_what_is_written(tmp_path):
  path = clips.write(tmp_path / 'clip.mp4', 2)
  _run(tmp_path, [path], thresholds=ScoreThresholds(0.1, {'cat': 0.95}, 'm.json'), track=True)
  assert [line['instances'] for line in _lines(tmp_path / 'out' / 'clip.jsonl')] == [[], []]


def test_without_an_overlay_there_are_the_lines_alone(tmp_path):
  _run(tmp_path, [clips.write(tmp_path / 'clip.mp4', 2)], save=())
  assert os.listdir(tmp_path / 'out') == ['clip.jsonl']


def test_unreadable_videos_are_named_and_the_others_are_predicted(tmp_path, caplog):
  (tmp_path / 'text.mp4').write_text('no video')
  clips.write(tmp_path / 'none.avi', 0, codec='MJPG')
  clips.write(tmp_path / 'good.mp4', 3)
  names = ('text.mp4', 'none.avi', 'good.mp4')
  failed, (summary,) = _run(tmp_path, [tmp_path / name for name in names])
  assert [os.path.basename(path) for path in failed] == ['text.mp4', 'none.avi']
  assert 'text.mp4 cannot be read' in caplog.text and summary.startswith('1 of 3 videos, 3 frames')
  assert sorted(os.listdir(tmp_path / 'out')) == ['good.jsonl', 'good_overlay.mp4']


def test_a_cut_video_is_predicted_as_far_as_it_goes_and_the_rest_is_counted(tmp_path, caplog):
  clips.write(tmp_path / 'a.avi', 30, codec='MJPG')
  content = (tmp_path / 'a.avi').read_bytes()
  (tmp_path / 'cut.avi').write_bytes(content[: len(content) // 2])
  assert not _run(tmp_path, [tmp_path / 'cut.avi'])[0]
  lines = _lines(tmp_path / 'out' / 'cut.jsonl')
  assert f'states 30 frames, and {len(lines)} could be read' in caplog.text
  assert len(clips.read(tmp_path / 'out' / 'cut_overlay.mp4')[0]) == len(lines)


def test_repeated_videos_and_names_are_told_apart(tmp_path, caplog):
  (tmp_path / 'b').mkdir()
  first, second = clips.write(tmp_path / 'clip.mp4', 2), clips.write(tmp_path / 'b' / 'clip.mp4', 3)
  third = clips.write(tmp_path / 'clip.avi', 4, codec='MJPG')
  _run(tmp_path, [first, second, first, third])
  assert f'{first} is given more than once' in caplog.text
  found = {path.name: len(_lines(path)) for path in (tmp_path / 'out').glob('*.jsonl')}
  assert found == {'clip.jsonl': 2, 'clip_2_mp4.jsonl': 3, 'clip_2_avi.jsonl': 4}


def test_a_video_in_the_output_folder_is_not_replaced(tmp_path):
  (tmp_path / 'out').mkdir()
  path = clips.write(tmp_path / 'out' / 'clip.mp4', 2)
  with pytest.raises(InputError, match='holds videos to predict on'):
    _run(tmp_path, [path])
  assert os.listdir(tmp_path / 'out') == ['clip.mp4']


@pytest.mark.parametrize('save', [('masks',), ('overlay', 'csv'), ('coco',)])
def test_outputs_of_images_are_refused_for_videos(tmp_path, save):
  path = clips.write(tmp_path / 'clip.mp4', 2)
  with pytest.raises(InputError, match=r'clip.mp4 is a video.*Got: (masks|csv|coco)'):
    _run(tmp_path, [path], save=save)
  assert not (tmp_path / 'out').exists()


def test_a_model_of_other_images_cannot_read_videos(tmp_path):
  detector = clips.detector()._replace(sample_format=SampleFormat(6, 16))
  with pytest.raises(InputError, match='6 channels of 16 bits'):
    _run(tmp_path, [clips.write(tmp_path / 'clip.mp4', 2)], detector=detector)


def _stopping(after, error):
  """A detector that raises an error instead of the detections of a frame."""
  count = []

  def detect(images):
    if len(count) == after:
      raise error
    count.append(1)
    return [clips.find_red(image) for image in images]

  return clips.detector()._replace(detect=detect)


def test_an_interrupted_video_is_playable_and_does_not_look_complete(tmp_path):
  path = clips.write(tmp_path / 'clip.mp4', 20)
  with pytest.raises(KeyboardInterrupt) as error:
    _run(tmp_path, [path], detector=_stopping(7, KeyboardInterrupt()), track=True)
  assert str(error.value).startswith(f'interrupted; 7 frames of {path} are done, in {tmp_path}/out')
  assert str(error.value).endswith('; 0 of 1 videos are complete')
  assert sorted(os.listdir(tmp_path / 'out')) == ['clip.partial.jsonl', 'clip_overlay.partial.mp4']
  assert len(clips.read(tmp_path / 'out' / 'clip_overlay.partial.mp4')[0]) == 7
  lines = _lines(tmp_path / 'out' / 'clip.partial.jsonl')
  assert [line['frame'] for line in lines] == list(range(7))
  _run(tmp_path, [path])  # The whole video takes the place of its part.
  assert sorted(os.listdir(tmp_path / 'out')) == ['clip.jsonl', 'clip_overlay.mp4']
  assert len(_lines(tmp_path / 'out' / 'clip.jsonl')) == 20


def test_an_interruption_before_the_first_frame_leaves_nothing(tmp_path):
  path = clips.write(tmp_path / 'clip.mp4', 20)
  with pytest.raises(
    KeyboardInterrupt, match=r'interrupted; 0 frames of .*clip.mp4 are done; 0 of'
  ):
    _run(tmp_path, [path], detector=_stopping(0, KeyboardInterrupt()))
  assert not os.listdir(tmp_path / 'out')


def test_an_interruption_leaves_the_files_of_an_earlier_run(tmp_path):
  path = clips.write(tmp_path / 'clip.mp4', 5)
  _run(tmp_path, [path])
  with pytest.raises(KeyboardInterrupt):
    _run(tmp_path, [path], detector=_stopping(2, KeyboardInterrupt()))
  assert len(_lines(tmp_path / 'out' / 'clip.jsonl')) == 5
  assert len(_lines(tmp_path / 'out' / 'clip.partial.jsonl')) == 2


def test_a_frame_that_the_model_refuses_ends_its_video_as_a_part(tmp_path):
  paths = [clips.write(tmp_path / f'{name}.mp4', 5) for name in 'ab']
  calls = []

  def detect(images):
    calls.append(1)
    refused = InputError('refused', expected='x', got='y')
    return [refused if len(calls) == 4 else clips.find_red(image) for image in images]

  failed, _ = _run(tmp_path, paths, detector=clips.detector()._replace(detect=detect))
  assert failed == paths[:1]
  assert len(_lines(tmp_path / 'out' / 'a.partial.jsonl')) == 3
  assert len(_lines(tmp_path / 'out' / 'b.jsonl')) == 5


@pytest.mark.parametrize('batch_size', [1, 4, 7, 8])
def test_frames_before_one_that_cannot_be_read_are_kept(tmp_path, monkeypatch, caplog, batch_size):
  read, count = predict_video.VideoFrames._read, []

  def smaller_in_the_end(self):
    count.append(1)
    pixels = read(self)
    return pixels if len(count) <= 7 else pixels[:-2]

  monkeypatch.setattr(predict_video.VideoFrames, '_read', smaller_in_the_end)
  path = clips.write(tmp_path / 'clip.mp4', 10)
  failed, (summary,) = _run(tmp_path, [path], batch_size=batch_size)
  assert failed == [path] and summary.startswith('0 of 1 videos, 7 frames')
  assert 'frame 7 of 64 x 46' in caplog.text and '7 frames of' in caplog.text
  assert len(_lines(tmp_path / 'out' / 'clip.partial.jsonl')) == 7
  assert len(clips.read(tmp_path / 'out' / 'clip_overlay.partial.mp4')[0]) == 7


def test_frames_are_detected_in_batches(tmp_path):
  calls = []

  def detect(images):
    calls.append(len(images))
    return [clips.find_red(image) for image in images]

  detector = clips.detector()._replace(detect=detect)
  paths = [clips.write(tmp_path / f'{num}.mp4', num) for num in (7, 2)]
  _run(tmp_path, paths, detector=detector, batch_size=3)
  assert calls == [3, 3, 1, 2]
  for num in (7, 2):
    lines = _lines(tmp_path / 'out' / f'{num}.jsonl')
    expected = [[2 * number, 8, 2 * number + 16, 24] for number in range(num)]
    found = [line['instances'][0]['box'] for line in lines]
    np.testing.assert_allclose(found, expected, atol=1.5)


def test_frames_larger_than_a_tile_are_detected_tile_by_tile(tmp_path):
  sizes = []

  def detect(images):
    sizes.extend(image.size for image in images)
    return [clips.find_red(image) for image in images]

  detector = clips.detector()._replace(detect=detect, tiling=Tiling(40, 8))
  _run(tmp_path, [clips.write(tmp_path / 'clip.mp4', 2)], detector=detector)
  assert sizes == [(40, 40)] * 8  # Four tiles of each frame of 46 x 64.
  boxes = [line['instances'][0]['box'] for line in _lines(tmp_path / 'out' / 'clip.jsonl')]
  np.testing.assert_allclose(boxes, [[0, 8, 16, 24], [2, 8, 18, 24]], atol=1.5)


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
    _run(
      tmp_path, [path], detector=detector, batch_size=size, thresholds=ScoreThresholds(0.0), save=()
    )
    found[size] = _lines(tmp_path / 'out' / 'clip.jsonl')
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
  growing = output / '.clip.part.jsonl'

  def has_frames():
    with contextlib.suppress(FileNotFoundError):
      return growing.read_bytes().count(b'\n') > 3
    return False

  with RunningCommand(tmp_path, *arguments) as command:
    command.wait_until(has_frames)
    assert command.end() == 130
    message = command.last_line()
  assert sorted(os.listdir(output)) == ['clip.partial.jsonl', 'clip_overlay.partial.mp4']
  num_lines = len(_lines(output / 'clip.partial.jsonl'))
  assert 3 < num_lines < 2000 and f'interrupted; {num_lines} frames of {path} are done' in message
  assert len(clips.read(output / 'clip_overlay.partial.mp4')[0]) == num_lines
