"""Tests of prediction on videos."""

import os
import weakref

import numpy as np
import pytest

from htc_tf.data import mask_codec
from htc_tf.serving.score_thresholds import ScoreThresholds
from htc_tf.serving.tiling import Tiling
from htc_tf.serving.video import predict_video
from tests.serving.video import clips


@pytest.mark.parametrize('name, codec', [('clip.mp4', 'mp4v'), ('clip.avi', 'MJPG')])
@pytest.mark.parametrize('batch_size', [1, 4, 32])
def test_every_frame_has_a_line_and_an_overlay(tmp_path, name, codec, batch_size):
  calls = []
  path = clips.write(tmp_path / name, 10, codec=codec)
  failed, (summary,) = clips.predict(tmp_path, [path], calls, batch_size=batch_size)
  assert not failed and sorted(os.listdir(tmp_path / 'out')) == ['clip.jsonl', 'clip_overlay.mp4']
  assert sum(calls) == 10 and max(calls) == min(batch_size, 10)
  assert calls[-1] == 10 % batch_size or batch_size == 1
  lines = clips.lines(tmp_path / 'out' / 'clip.jsonl')
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
  clips.predict(tmp_path, [path])
  shown, _ = clips.read(tmp_path / 'out' / 'clip_overlay.mp4')
  np.testing.assert_allclose(shown[0][24, 32], (20, 40, 200), atol=15)  # Blue stays blue.
  changed = np.abs(shown[3].astype(int) - clips.frame(0)).sum(-1)
  assert changed[8:24, :16].mean() > 60 and np.median(changed[40:, 40:]) < 30


def test_times_are_those_of_a_file_without_a_constant_rate(tmp_path):
  clips.write(tmp_path / 'clip.mp4', 6)
  clips.delay(tmp_path / 'clip.mp4', [1, 1, 1, 5, 5, 5])
  clips.predict(tmp_path, [tmp_path / 'clip.mp4'], batch_size=4)
  times = [line['time'] for line in clips.lines(tmp_path / 'out' / 'clip.jsonl')]
  np.testing.assert_allclose(times, [0, 0.08, 0.16, 0.24, 0.64, 1.04])
  _, rate = clips.read(tmp_path / 'out' / 'clip_overlay.mp4')
  assert 6 / rate == pytest.approx(18 * 0.08, rel=1e-3)  # The overlay takes as long as the video.


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
  clips.predict(tmp_path, [path], model=clips.detector()._replace(detect=detect), batch_size=4)
  # The frames of a batch and at most those of the next one.
  assert len(kept) == 15
  for (count, alive), needed in zip(kept, range(4, 61, 4)):
    assert needed <= count <= needed + 4 + 1 and alive <= 8


@pytest.mark.parametrize('size', [(63, 47), (64, 47), (63, 48)])
def test_odd_sizes_lose_no_pixels(tmp_path, monkeypatch, size):
  # The codecs of the test write even sizes alone, so that the frames are cut after reading.
  path = clips.write(tmp_path / 'clip.mp4', 4)
  read = predict_video.VideoFrames._read

  def cut(self):
    pixels = read(self)
    return None if pixels is None else np.ascontiguousarray(pixels[: size[1], : size[0]])

  monkeypatch.setattr(predict_video.VideoFrames, '_read', cut)
  clips.predict(tmp_path, [path])
  frames, _ = clips.read(tmp_path / 'out' / 'clip_overlay.mp4')
  assert len(frames) == 4 and frames[0].shape == (48, 64, 3)
  assert {tuple(line['size']) for line in clips.lines(tmp_path / 'out' / 'clip.jsonl')} == {
    size[::-1]
  }


def test_a_turned_video_is_upright_in_all_outputs(tmp_path):
  clips.write(tmp_path / 'clip.mp4', 4)
  clips.turn(tmp_path / 'clip.mp4')
  clips.predict(tmp_path, [tmp_path / 'clip.mp4'])
  frames, _ = clips.read(tmp_path / 'out' / 'clip_overlay.mp4')
  assert frames[0].shape == (64, 48, 3)
  line = clips.lines(tmp_path / 'out' / 'clip.jsonl')[0]
  # The square at rows 8..24 and columns 0..16 of a picture of 64 x 48, turned clockwise.
  assert line['size'] == [64, 48]
  np.testing.assert_allclose(line['instances'][0]['box'], [24, 0, 40, 16], atol=1.5)


def test_tracks_are_in_the_lines_and_drawn(tmp_path):
  path = clips.write(tmp_path / 'clip.mp4', 6)
  _, (summary,) = clips.predict(tmp_path, [path], track=True)
  lines = clips.lines(tmp_path / 'out' / 'clip.jsonl')
  assert [line['instances'][0]['track'] for line in lines] == [1] * 6
  assert '1 tracks' in summary
  tracked, _ = clips.read(tmp_path / 'out' / 'clip_overlay.mp4')
  clips.predict(tmp_path, [path])
  plain, _ = clips.read(tmp_path / 'out' / 'clip_overlay.mp4')
  assert np.abs(tracked[0].astype(int) - plain[0]).max() > 60


def test_each_video_has_tracks_of_its_own(tmp_path):
  paths = [clips.write(tmp_path / f'{name}.mp4', 3) for name in 'ab']
  _, (summary,) = clips.predict(tmp_path, paths, track=True)
  assert '2 of 2 videos, 2 tracks, 6 frames' in summary
  for name in 'ab':
    lines = clips.lines(tmp_path / 'out' / f'{name}.jsonl')
    assert [line['instances'][0]['track'] for line in lines] == [1, 1, 1]


def test_thresholds_decide_what_is_written(tmp_path):
  path = clips.write(tmp_path / 'clip.mp4', 2)
  clips.predict(
    tmp_path, [path], thresholds=ScoreThresholds(0.1, {'cat': 0.95}, 'm.json'), track=True
  )
  assert [line['instances'] for line in clips.lines(tmp_path / 'out' / 'clip.jsonl')] == [[], []]


def test_without_an_overlay_there_are_the_lines_alone(tmp_path):
  clips.predict(tmp_path, [clips.write(tmp_path / 'clip.mp4', 2)], save=())
  assert os.listdir(tmp_path / 'out') == ['clip.jsonl']


def test_repeated_videos_and_names_are_told_apart(tmp_path, caplog):
  (tmp_path / 'b').mkdir()
  first, second = clips.write(tmp_path / 'clip.mp4', 2), clips.write(tmp_path / 'b' / 'clip.mp4', 3)
  third = clips.write(tmp_path / 'clip.avi', 4, codec='MJPG')
  clips.predict(tmp_path, [first, second, first, third])
  assert f'{first} is given more than once' in caplog.text
  found = {path.name: len(clips.lines(path)) for path in (tmp_path / 'out').glob('*.jsonl')}
  assert found == {'clip.jsonl': 2, 'clip_2_mp4.jsonl': 3, 'clip_2_avi.jsonl': 4}


def test_frames_are_detected_in_batches(tmp_path):
  calls = []

  def detect(images):
    calls.append(len(images))
    return [clips.find_red(image) for image in images]

  detector = clips.detector()._replace(detect=detect)
  paths = [clips.write(tmp_path / f'{num}.mp4', num) for num in (7, 2)]
  clips.predict(tmp_path, paths, model=detector, batch_size=3)
  assert calls == [3, 3, 1, 2]
  for num in (7, 2):
    lines = clips.lines(tmp_path / 'out' / f'{num}.jsonl')
    expected = [[2 * number, 8, 2 * number + 16, 24] for number in range(num)]
    found = [line['instances'][0]['box'] for line in lines]
    np.testing.assert_allclose(found, expected, atol=1.5)


def test_frames_larger_than_a_tile_are_detected_tile_by_tile(tmp_path):
  sizes = []

  def detect(images):
    sizes.extend(image.size for image in images)
    return [clips.find_red(image) for image in images]

  detector = clips.detector()._replace(detect=detect, tiling=Tiling(40, 8))
  clips.predict(tmp_path, [clips.write(tmp_path / 'clip.mp4', 2)], model=detector)
  assert sizes == [(40, 40)] * 8  # Four tiles of each frame of 46 x 64.
  boxes = [line['instances'][0]['box'] for line in clips.lines(tmp_path / 'out' / 'clip.jsonl')]
  np.testing.assert_allclose(boxes, [[0, 8, 16, 24], [2, 8, 18, 24]], atol=1.5)
