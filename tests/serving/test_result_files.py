"""Tests that the results of a prediction are complete files at any time."""

import json

import pytest
from pycocotools.coco import COCO

from htc_tf.evaluation import ground_truth
from htc_tf.serving import result_files
from htc_tf.serving.appended_bytes import AppendedBytes


class Clock:
  """A clock that a test sets."""

  now = 0.0

  def __call__(self):
    return self.now


def image(id_):
  return {'id': id_, 'file_name': f'{id_}.png', 'height': 8, 'width': 8}


def results(id_, count=2):
  return [{'image_id': id_, 'category_id': 1, 'bbox': [0, 0, 4, 4], 'score': 0.5}] * count


def open_files(folder, clock):
  return result_files.ResultFiles(
    str(folder), [{'id': 1, 'name': 'cat'}], lambda count: f'{count} done', clock
  )


def read(folder):
  """Ids of the images in both files, which pycocotools has to accept."""
  with ground_truth.silence():
    coco = COCO(str(folder / 'images.json'))
    found = coco.loadRes(str(folder / 'predictions.json')).anns.values()
  assert coco.cats == {1: {'id': 1, 'name': 'cat'}}
  return sorted(coco.imgs), sorted(entry['image_id'] for entry in found)


def test_the_files_are_replaced_at_intervals(tmp_path):
  clock = Clock()
  with open_files(tmp_path, clock) as files:
    files.add(image(1), results(1))
    assert read(tmp_path) == ([1], [1, 1])
    files.add(image(2), results(2, 0))
    assert read(tmp_path) == ([1], [1, 1])
    clock.now = 10
    files.add(image(3), results(3, 1))
    assert read(tmp_path) == ([1, 2, 3], [1, 1, 3])
    files.add(image(4), results(4))
  assert read(tmp_path) == ([1, 2, 3, 4], [1, 1, 3, 4, 4])
  assert {path.name for path in tmp_path.iterdir()} == {'images.json', 'predictions.json'}


def test_the_interval_grows_with_the_time_of_a_copy(tmp_path, monkeypatch):
  clock, times = Clock(), []

  copy = AppendedBytes.copy

  def slow_copy(source, target, length):
    copy(source, target, length)
    times.append(clock.now)
    clock.now += 4

  monkeypatch.setattr(AppendedBytes, 'copy', slow_copy)
  with open_files(tmp_path, clock) as files:
    for id_ in range(1, 400):
      files.add(image(id_), results(id_))
      clock.now += 1
  # Two files of 4 s each: 8 s in 168 s.
  assert times == [0, 4, 168, 172, 336, 340, *times[-2:]] and len(times) == 8


@pytest.mark.parametrize('moment', ['between', 'in_results'])
def test_an_interruption_keeps_complete_images(tmp_path, moment):
  def interrupted_results():
    yield from results(2, 1)
    raise KeyboardInterrupt

  def run():
    with open_files(tmp_path, Clock()) as files:
      files.add(image(1), results(1))
      if moment == 'in_results':
        files.add(image(2), interrupted_results())
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt, match='1 done'):
    run()
  assert read(tmp_path) == ([1], [1, 1])
  assert {path.name for path in tmp_path.iterdir()} == {'images.json', 'predictions.json'}


def test_the_files_of_an_earlier_run_stay_if_nothing_is_done(tmp_path):
  (tmp_path / 'predictions.json').write_text('earlier')
  with pytest.raises(KeyboardInterrupt), open_files(tmp_path, Clock()):
    raise KeyboardInterrupt
  assert (tmp_path / 'predictions.json').read_text() == 'earlier'


def test_without_images_the_files_are_empty(tmp_path):
  with open_files(tmp_path, Clock()):
    pass
  assert json.loads((tmp_path / 'predictions.json').read_text()) == []
  assert json.loads((tmp_path / 'images.json').read_text())['images'] == []


def test_two_runs_into_one_folder_do_not_mix(tmp_path):
  """The files of a user have the names that hidden ones had once."""
  for name in ('.images.json.part', '.predictions.json.part'):
    (tmp_path / name).write_text('mine')
  with open_files(tmp_path, Clock()) as first:
    first.add(image(1), results(1))
    with open_files(tmp_path, Clock()) as second:
      second.add(image(2), results(2, 1))
    assert read(tmp_path) == ([2], [2])
    first.add(image(3), results(3))
  assert read(tmp_path) == ([1, 3], [1, 1, 3, 3])
  assert (tmp_path / '.images.json.part').read_text() == 'mine'
  assert (tmp_path / '.predictions.json.part').read_text() == 'mine'
