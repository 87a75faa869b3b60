"""Tests of videos that are not predicted to their end, or not at all."""

import os

import cv2
import pytest

from htc_tf.data.sample_format import SampleFormat
from htc_tf.errors import InputError
from htc_tf.serving.video import predict_video
from htc_tf.serving.video.frames import VideoFrames
from tests.serving.video import clips


def test_unreadable_videos_are_named_and_the_others_are_predicted(tmp_path, caplog):
  (tmp_path / 'text.mp4').write_text('no video')
  clips.write(tmp_path / 'none.avi', 0, codec='MJPG')
  clips.write(tmp_path / 'good.mp4', 3)
  names = ('text.mp4', 'none.avi', 'good.mp4')
  failed, (summary,) = clips.predict(tmp_path, [tmp_path / name for name in names])
  assert [os.path.basename(path) for path in failed] == ['text.mp4', 'none.avi']
  assert 'text.mp4 cannot be read' in caplog.text and summary.startswith('1 of 3 videos, 3 frames')
  assert sorted(os.listdir(tmp_path / 'out')) == ['good.jsonl', 'good_overlay.mp4']


def _cut(tmp_path, name, share):
  """A video of 30 frames that ends after a share of its bytes."""
  clips.write(tmp_path / 'a.avi', 30, codec='MJPG')
  content = (tmp_path / 'a.avi').read_bytes()
  (tmp_path / name).write_bytes(content[: int(share * len(content))])
  return tmp_path / name


def test_a_cut_video_is_predicted_as_far_as_it_goes_and_does_not_look_complete(tmp_path, caplog):
  path = _cut(tmp_path, 'cut.avi', 0.5)
  failed, (summary,) = clips.predict(tmp_path, [path])
  assert failed == [str(path)] and summary.startswith('0 of 1 videos')
  assert sorted(os.listdir(tmp_path / 'out')) == ['cut.partial.jsonl', 'cut_overlay.partial.mp4']
  lines = clips.lines(tmp_path / 'out' / 'cut.partial.jsonl')
  assert 5 < len(lines) < 20
  assert f'Expected: the 30 frames that it states. Got: {len(lines)}.' in caplog.text
  assert len(clips.read(tmp_path / 'out' / 'cut_overlay.partial.mp4')[0]) == len(lines)


def test_a_video_that_states_a_few_frames_too_many_is_complete(tmp_path, caplog, monkeypatch):
  path = clips.write(tmp_path / 'a.avi', 30, codec='MJPG')
  for stated, is_complete in ((32, True), (33, False)):
    monkeypatch.setattr(
      VideoFrames, '_property', _stating(VideoFrames._property, stated), raising=True
    )
    failed, _ = clips.predict(tmp_path, [path])
    assert (not failed) == is_complete
    monkeypatch.undo()
  assert 'states 32 frames, and 30 could be read' in caplog.text


def _stating(read, number):
  """A reader of properties of videos that states another number of frames."""
  return lambda frames, name: number if name == cv2.CAP_PROP_FRAME_COUNT else read(frames, name)


def test_a_video_in_the_output_folder_is_not_replaced(tmp_path):
  (tmp_path / 'out').mkdir()
  path = clips.write(tmp_path / 'out' / 'clip.mp4', 2)
  with pytest.raises(InputError, match='holds videos to predict on'):
    clips.predict(tmp_path, [path])
  assert os.listdir(tmp_path / 'out') == ['clip.mp4']


@pytest.mark.parametrize('save', [('masks',), ('overlay', 'csv'), ('coco',)])
def test_outputs_of_images_are_refused_for_videos(tmp_path, save):
  path = clips.write(tmp_path / 'clip.mp4', 2)
  with pytest.raises(InputError, match=r'clip.mp4 is a video.*Got: (masks|csv|coco)'):
    clips.predict(tmp_path, [path], save=save)
  assert not (tmp_path / 'out').exists()


def test_a_model_of_other_images_cannot_read_videos(tmp_path):
  detector = clips.detector()._replace(sample_format=SampleFormat(6, 16))
  with pytest.raises(InputError, match='6 channels of 16 bits'):
    clips.predict(tmp_path, [clips.write(tmp_path / 'clip.mp4', 2)], model=detector)


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
    clips.predict(tmp_path, [path], model=_stopping(7, KeyboardInterrupt()), track=True)
  assert str(error.value).startswith(f'interrupted; 7 frames of {path} are done, in {tmp_path}/out')
  assert str(error.value).endswith('; 0 of 1 videos are complete')
  assert sorted(os.listdir(tmp_path / 'out')) == ['clip.partial.jsonl', 'clip_overlay.partial.mp4']
  assert len(clips.read(tmp_path / 'out' / 'clip_overlay.partial.mp4')[0]) == 7
  lines = clips.lines(tmp_path / 'out' / 'clip.partial.jsonl')
  assert [line['frame'] for line in lines] == list(range(7))
  clips.predict(tmp_path, [path])  # The part stays: its names could be those of other files.
  complete = ['clip.jsonl', 'clip_overlay.mp4']
  partial = ['clip.partial.jsonl', 'clip_overlay.partial.mp4']
  assert sorted(os.listdir(tmp_path / 'out')) == sorted(complete + partial)
  assert len(clips.lines(tmp_path / 'out' / 'clip.jsonl')) == 20


@pytest.mark.parametrize('name', ['clip.partial', 'clip.PARTIAL2'])
def test_no_whole_video_has_the_names_of_a_part(tmp_path, name):
  paths = [clips.write(tmp_path / f'{stem}.mp4', 5) for stem in (name, 'clip')]
  with pytest.raises(KeyboardInterrupt):
    clips.predict(tmp_path, paths, model=_stopping(7, KeyboardInterrupt()), save=())
  complete = f'{name.replace(".", "_")}.jsonl'
  assert sorted(os.listdir(tmp_path / 'out')) == sorted([complete, 'clip.partial.jsonl'])
  assert len(clips.lines(tmp_path / 'out' / complete)) == 5
  assert len(clips.lines(tmp_path / 'out' / 'clip.partial.jsonl')) == 2


def test_an_interruption_before_the_first_frame_leaves_nothing(tmp_path):
  path = clips.write(tmp_path / 'clip.mp4', 20)
  with pytest.raises(
    KeyboardInterrupt, match=r'interrupted; 0 frames of .*clip.mp4 are done; 0 of'
  ):
    clips.predict(tmp_path, [path], model=_stopping(0, KeyboardInterrupt()))
  assert not os.listdir(tmp_path / 'out')


def test_an_interruption_leaves_the_files_of_an_earlier_run(tmp_path):
  path = clips.write(tmp_path / 'clip.mp4', 5)
  clips.predict(tmp_path, [path])
  with pytest.raises(KeyboardInterrupt):
    clips.predict(tmp_path, [path], model=_stopping(2, KeyboardInterrupt()))
  assert len(clips.lines(tmp_path / 'out' / 'clip.jsonl')) == 5
  assert len(clips.lines(tmp_path / 'out' / 'clip.partial.jsonl')) == 2


def test_a_frame_that_the_model_refuses_ends_its_video_as_a_part(tmp_path):
  paths = [clips.write(tmp_path / f'{name}.mp4', 5) for name in 'ab']
  calls = []

  def detect(images):
    calls.append(1)
    refused = InputError('refused', expected='x', got='y')
    return [refused if len(calls) == 4 else clips.find_red(image) for image in images]

  failed, _ = clips.predict(tmp_path, paths, model=clips.detector()._replace(detect=detect))
  assert failed == paths[:1]
  assert len(clips.lines(tmp_path / 'out' / 'a.partial.jsonl')) == 3
  assert len(clips.lines(tmp_path / 'out' / 'b.jsonl')) == 5


@pytest.mark.parametrize('batch_size', [1, 4, 7, 8])
def test_frames_before_one_that_cannot_be_read_are_kept(tmp_path, monkeypatch, caplog, batch_size):
  read, count = predict_video.VideoFrames._read, []

  def smaller_in_the_end(self):
    count.append(1)
    pixels = read(self)
    return pixels if len(count) <= 7 else pixels[:-2]

  monkeypatch.setattr(predict_video.VideoFrames, '_read', smaller_in_the_end)
  path = clips.write(tmp_path / 'clip.mp4', 10)
  failed, (summary,) = clips.predict(tmp_path, [path], batch_size=batch_size)
  assert failed == [path] and summary.startswith('0 of 1 videos, 7 frames')
  assert 'frame 7 of 64 x 46' in caplog.text and '7 frames of' in caplog.text
  assert len(clips.lines(tmp_path / 'out' / 'clip.partial.jsonl')) == 7
  assert len(clips.read(tmp_path / 'out' / 'clip_overlay.partial.mp4')[0]) == 7
