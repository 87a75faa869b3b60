"""Tests of the files of a video: their names, and errors of writing."""

import os
import threading

import numpy as np
import pytest

from htc_tf.errors import InputError, StorageError
from htc_tf.serving.video.video_files import VideoFiles
from htc_tf.serving.video.writer import OverlayFile
from tests.serving.video import clips


def _write(files, num_frames):
  for number in range(num_frames):
    files.add(lambda number=number: clips.frame(number), {'frame': number})


def test_the_names_are_given_at_the_end(tmp_path):
  files = VideoFiles(str(tmp_path), 'clip', 10.0, has_overlay=True)
  _write(files, 6)
  assert all(name.startswith('.clip') and '.part.' in name for name in os.listdir(tmp_path))
  paths = files.end(is_complete=True)
  assert sorted(os.listdir(tmp_path)) == sorted(map(os.path.basename, paths))
  assert files.end(is_complete=False) == [] and len(os.listdir(tmp_path)) == 2


def test_a_drawing_that_fails_ends_all_files_at_the_same_frame(tmp_path):
  files = VideoFiles(str(tmp_path), 'clip', 10.0, has_overlay=True)
  _write(files, 3)
  files.add(lambda: 1 / 0, {'frame': 3})
  files.add(lambda: clips.frame(4), {'frame': 4})
  with pytest.raises(ZeroDivisionError):
    files.end(is_complete=True)
  assert files.num_frames == 3
  assert len(clips.read(tmp_path / 'clip_overlay.partial.mp4')[0]) == 3
  assert (tmp_path / 'clip.partial.jsonl').read_bytes().count(b'\n') == 3
  assert len(os.listdir(tmp_path)) == 2


def test_few_frames_wait_however_slow_the_writing_is(tmp_path):
  files, start, waiting = VideoFiles(str(tmp_path), 'clip', 10.0, True), threading.Event(), []

  def draw():
    start.wait(60)
    waiting.pop()
    return clips.frame(0)

  def add():
    for number in range(30):
      waiting.append(number)
      files.add(draw, {'frame': number})

  thread = threading.Thread(target=add)
  thread.start()
  thread.join(0.5)
  most = len(waiting)
  start.set()
  thread.join(60)
  files.end(is_complete=True)
  assert most <= 6 and files.num_frames == 30


def test_frames_that_do_not_arrive_in_the_file_are_an_error(tmp_path):
  overlay = OverlayFile(str(tmp_path), 'clip', 10.0)
  for number in range(3):
    overlay.write(clips.frame(number))
  overlay._writer.write(np.zeros((48, 64, 3), np.uint8))  # One that was not counted.
  with pytest.raises(StorageError, match=r'3 frames in the file. Got: 4'):
    overlay.finish(str(tmp_path / 'clip.mp4'))
  overlay.remove()
  assert not os.listdir(tmp_path)


def test_a_rate_that_the_codec_lacks_is_an_error(tmp_path):
  overlay = OverlayFile(str(tmp_path), 'clip', 90000.0)
  with pytest.raises(StorageError, match='90000 frames per second'):
    overlay.write(clips.frame(0))


def test_names_that_are_no_text(tmp_path):
  stem = os.fsdecode(b'caf\xe9')
  files = VideoFiles(str(tmp_path), stem, 10.0, has_overlay=True)
  _write(files, 2)
  files.end(is_complete=True)
  assert sorted(os.listdir(os.fsencode(tmp_path))) == [b'caf\xe9.jsonl', b'caf\xe9_overlay.mp4']
  folder = tmp_path / stem
  folder.mkdir()
  with pytest.raises(InputError, match='UTF-8'):
    VideoFiles(str(folder), 'clip', 10.0, has_overlay=True)


def test_two_runs_of_one_video_do_not_mix(tmp_path):
  first, second = (VideoFiles(str(tmp_path), 'clip', 10.0, has_overlay=True) for _ in range(2))
  _write(first, 3)
  _write(second, 5)
  for files, count in ((second, 5), (first, 3)):
    files.end(is_complete=True)
    assert len(clips.read(tmp_path / 'clip_overlay.mp4')[0]) == count
    assert (tmp_path / 'clip.jsonl').read_bytes().count(b'\n') == count
  assert sorted(os.listdir(tmp_path)) == ['clip.jsonl', 'clip_overlay.mp4']


@pytest.mark.parametrize('taken', ['clip.partial.jsonl', 'clip_overlay.partial.mp4'])
def test_the_files_of_a_part_take_the_place_of_no_file(tmp_path, taken):
  (tmp_path / taken).write_text('mine')
  for number in (2, 3):
    files = VideoFiles(str(tmp_path), 'clip', 10.0, has_overlay=True)
    _write(files, number)
    names = [f'clip.partial{number}.jsonl', f'clip_overlay.partial{number}.mp4']
    assert sorted(map(os.path.basename, files.end(is_complete=False))) == names
    assert (tmp_path / names[0]).read_bytes().count(b'\n') == number
  assert len(os.listdir(tmp_path)) == 5 and (tmp_path / taken).read_text() == 'mine'


def test_a_part_that_cannot_be_written_leaves_no_empty_file(tmp_path, monkeypatch):
  files = VideoFiles(str(tmp_path), 'clip', 10.0, has_overlay=True)
  _write(files, 3)

  def fail(*_):
    raise OSError('broken')

  monkeypatch.setattr(OverlayFile, 'finish', fail)
  with pytest.raises(OSError, match='broken'):
    files.end(is_complete=False)
  assert not os.listdir(tmp_path)
