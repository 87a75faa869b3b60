"""Tests of reading videos."""

import os

import numpy as np
import pytest

from htc_tf.errors import InputError
from htc_tf.serving.video.frames import VideoFrames
from tests.serving.video import clips


def _read(path):
  with VideoFrames(str(path)) as frames:
    return list(frames), frames


@pytest.mark.parametrize('name, codec', [('a.mp4', 'mp4v'), ('a.avi', 'MJPG')])
def test_frames_are_rgb_and_in_order_and_complete(tmp_path, name, codec):
  path = clips.write(tmp_path / name, num_frames=12, codec=codec)
  found, frames = _read(path)
  assert len(found) == frames.stated == 12 and frames.frame_rate == clips.RATE and not frames.notes
  for number, pixels in enumerate(found):
    expected = clips.frame(number)
    assert pixels.shape == expected.shape and pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - expected).mean() < 8
    red, _, blue = pixels[16, 2 * number + 8]
    assert red > 180 and blue < 100


def test_a_stated_rotation_is_applied(tmp_path):
  clips.write(tmp_path / 'a.mp4')
  before, _ = _read(tmp_path / 'a.mp4')
  clips.turn(tmp_path / 'a.mp4')
  turned, _ = _read(tmp_path / 'a.mp4')
  assert turned[0].shape == (64, 48, 3)
  np.testing.assert_array_equal(turned[3], np.rot90(before[3], -1))


@pytest.mark.parametrize('name', [b'caf\xe9.mp4', b'a:b.mp4', b'%03d.mp4', b'CLIP.MP4', b'-a.mp4'])
def test_unusual_names(tmp_path, name, monkeypatch):
  path = os.fsencode(tmp_path) + b'/' + name
  os.rename(clips.write(tmp_path / 'a.mp4'), path)
  monkeypatch.chdir(tmp_path)
  assert len(_read(os.fsdecode(name))[0]) == 10


def _cut(path, tmp_path):
  with open(path, 'rb') as file:
    content = file.read()
  (tmp_path / 'cut.avi').write_bytes(content[: len(content) // 2])
  return tmp_path / 'cut.avi'


def test_a_video_that_was_cut_off_is_read_as_far_as_possible_and_is_an_error(tmp_path):
  path = _cut(clips.write(tmp_path / 'a.avi', 30, codec='MJPG'), tmp_path)
  found = []
  with (
    pytest.raises(InputError, match=r'cut.avi cannot be read to its end.*30 frames') as error,
    VideoFrames(str(path)) as frames,
  ):
    found.extend(frames)
  assert 2 < len(found) < 20 and f'Got: {len(found)}.' in str(error.value)


def test_other_videos_may_state_too_many_frames(tmp_path):
  """FFmpeg derives the number of frames of a Matroska file from its duration."""
  path = _cut(clips.write(tmp_path / 'a.avi', 30, codec='MJPG'), tmp_path)
  found, frames = _read(path.rename(tmp_path / 'cut.mkv'))
  (note,) = frames.notes
  assert f'cut.mkv states 30 frames, and {len(found)} could be read' in note


def test_a_header_that_states_too_few_frames_loses_none(tmp_path):
  path = clips.write(tmp_path / 'a.avi', 12, codec='MJPG')
  with open(path, 'r+b') as file:
    content = file.read()
    for name, offset in ((b'avih', 8 + 16), (b'strh', 8 + 32)):
      file.seek(content.find(name) + offset)
      assert int.from_bytes(file.read(4), 'little') == 12
      file.seek(-4, os.SEEK_CUR)
      file.write((5).to_bytes(4, 'little'))
  found, frames = _read(path)
  assert len(found) == 12 and (frames.stated == 12 or frames.notes)


@pytest.mark.parametrize('content', [b'', b'no video', 'half', 'no frames'])
def test_files_that_are_no_videos_are_refused(tmp_path, content):
  path = tmp_path / 'a.mp4'
  if content == 'no frames':
    path = tmp_path / 'a.avi'
    clips.write(path, 0, codec='MJPG')
  elif content == 'half':
    clips.write(path)
    path.write_bytes(path.read_bytes()[:700])
  else:
    path.write_bytes(content)
  with pytest.raises(InputError, match=f'{path.name} cannot be read'):
    VideoFrames(str(path))


def test_missing_files_folders_and_pipes_are_refused(tmp_path):
  os.mkfifo(tmp_path / 'pipe.mp4')
  (tmp_path / 'folder.mp4').mkdir()
  for name in ('pipe.mp4', 'folder.mp4', 'none.mp4'):
    with pytest.raises(InputError, match=name):
      VideoFrames(str(tmp_path / name))


@pytest.mark.parametrize('rate', [0.0, float('nan'), 90000.0])
def test_an_impossible_rate_is_replaced_with_a_note(tmp_path, monkeypatch, rate):
  monkeypatch.setattr(VideoFrames, '_property', lambda self, number: rate)
  with VideoFrames(clips.write(tmp_path / 'a.mp4')) as frames:
    assert frames.frame_rate == 25.0 and '25 are assumed' in frames.notes[0]


def test_without_stated_times_the_rate_gives_them(tmp_path, monkeypatch):
  monkeypatch.setattr(VideoFrames, '_stated_time', lambda self: 0.0)
  with VideoFrames(clips.write(tmp_path / 'a.mp4', 4)) as frames:
    times = [frame.time for frame in frames.timed()]
  np.testing.assert_allclose(times, np.arange(4) / clips.RATE)


def test_frames_of_another_size_are_an_error(tmp_path, monkeypatch):
  read, count = VideoFrames._read, []

  def smaller_in_the_end(self):
    count.append(1)
    pixels = read(self)
    return pixels if len(count) < 4 else pixels[:-2]

  monkeypatch.setattr(VideoFrames, '_read', smaller_in_the_end)
  frames = VideoFrames(clips.write(tmp_path / 'a.mp4'))
  each = iter(frames)
  assert [next(each).shape for _ in range(3)] == [(48, 64, 3)] * 3
  with pytest.raises(InputError, match='frame 3 of 64 x 46 after 64 x 48'):
    next(each)
