"""Tests of work beside detection: items are made ahead, calls are made behind."""

import functools
import threading
import warnings

import numpy as np
import pytest
from PIL import Image

from htc_tf.data.pillow_warnings import without_warnings
from htc_tf.serving import predict_files
from htc_tf.serving.instances import Instances
from htc_tf.serving.outputs import overlay
from htc_tf.serving.overlap import Ahead, Behind

_SECONDS = 30.0  # Until a test gives up; nothing depends on it.


def _threads():
  return {thread.name.rsplit('_')[0] for thread in threading.enumerate()} & {'ahead', 'behind'}


@pytest.mark.parametrize('number', [0, 1, 5])
def test_all_items_come_in_order(number):
  with Ahead(iter(range(number))) as items:
    assert list(items) == list(range(number))
  assert not _threads()


def test_items_that_are_false_do_not_end_the_others():
  with Ahead(iter([0, None, '', 1])) as items:
    assert list(items) == [0, None, '', 1]


def test_the_next_item_is_made_while_one_is_used_and_no_further_one():
  made, started = [], threading.Event()

  def make():
    for number in range(5):
      made.append(number)
      if number == 1:
        started.set()
      yield number

  with Ahead(make()) as items:
    assert next(items) == 0
    assert started.wait(_SECONDS)
  assert made == [0, 1] and not _threads()


def test_an_error_comes_after_the_items_before_it():
  def make():
    yield 1
    yield 2
    raise OSError('unread')

  taken = []
  with pytest.raises(OSError, match='unread'), Ahead(make()) as items:
    taken.extend(item for item in items)  # `extend` keeps what came before the error.
  assert taken == [1, 2] and not _threads()


def test_calls_are_made_in_order_while_the_caller_goes_on():
  done, may_go_on = [], threading.Event()
  with Behind() as behind:
    behind.add(lambda: may_go_on.wait(_SECONDS) and done.append(0))
    assert not done  # The caller is here while the call waits for it.
    may_go_on.set()
    for number in range(1, 4):
      behind.add(functools.partial(done.append, number))
  assert done == [0, 1, 2, 3] and not _threads()


def _fail():
  raise OSError('unwritten')


@pytest.mark.parametrize(
  'then', [lambda behind: behind.add(list), Behind.wait, lambda _: None], ids=['add', 'wait', 'end']
)
def test_the_error_of_a_call_is_raised_once(then):
  behind = Behind()
  with pytest.raises(OSError, match='unwritten'):
    _use(behind, _fail, then)
  behind.wait()
  assert not _threads()


def _use(behind, call, then):
  with behind:
    behind.add(call)
    then(behind)


def test_the_error_of_the_block_counts_and_the_call_has_ended():
  done, may_go_on = [], threading.Event()

  def call():
    may_go_on.wait(_SECONDS)
    done.append(0)
    _fail()

  def interrupt(_):
    may_go_on.set()
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    _use(Behind(), call, interrupt)
  assert done == [0] and not _threads()


def test_contexts_without_warnings_of_two_threads_leave_the_filters_as_they_were():
  before = list(warnings.filters)
  first_is_in, second_is_in = threading.Event(), threading.Event()

  def other():
    first_is_in.wait(_SECONDS)
    with without_warnings():
      second_is_in.set()
      first_is_out.wait(_SECONDS)
      warnings.warn('still not shown', UserWarning, stacklevel=1)  # An error here otherwise.

  first_is_out = threading.Event()
  errors = []
  monitored = threading.Thread(target=lambda: _recorded(other, errors))
  monitored.start()
  with without_warnings():
    first_is_in.set()
    assert second_is_in.wait(_SECONDS)
  first_is_out.set()
  monitored.join()
  assert not errors and list(warnings.filters) == before


def _recorded(call, errors):
  try:
    call()
  except BaseException as error:
    errors.append(error)


def _save(folder, names):
  paths = [str(folder / f'{name}.png') for name in names]
  for path in paths:
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(path)
  return paths


def _nothing():
  return [Instances(np.zeros([0, 4], np.float32), np.zeros(0, int), np.zeros(0), [])]


def test_images_are_read_and_written_while_others_are_detected(tmp_path, monkeypatch):
  """Each step waits for what would never come if the steps took turns."""
  paths = _save(tmp_path, 'abc')
  reached = {name: threading.Event() for name in ('b is read', 'b is detected')}
  read, write = predict_files.read_picture, overlay.Overlay.write

  def read_picture(path, detector):
    picture = read(path, detector)
    if path.endswith('b.png'):
      reached['b is read'].set()
    return picture

  def detect(sources):
    name = sources[0].path[-5]
    if name == 'a':
      assert reached['b is read'].wait(_SECONDS)
    if name == 'b':
      reached['b is detected'].set()
    return _nothing()

  def write_overlay(self, image, stem, *names):
    if image.path.endswith('a.png'):
      assert reached['b is detected'].wait(_SECONDS)
    return write(self, image, stem, *names)

  monkeypatch.setattr(predict_files, 'read_picture', read_picture)
  monkeypatch.setattr(overlay.Overlay, 'write', write_overlay)
  detector = predict_files.Detector(detect, ['cat'], [1])
  assert predict_files.predict_files(detector, paths, str(tmp_path / 'out')) == []
  assert len(list((tmp_path / 'out').glob('*.png'))) == 3 and not _threads()


@pytest.mark.parametrize('is_large', [False, True])
def test_a_large_image_is_written_before_another_one_is_detected(tmp_path, monkeypatch, is_large):
  paths, found, is_detected = _save(tmp_path, 'ab'), [], threading.Event()
  write = overlay.Overlay.write

  def detect(sources):
    if sources[0].path.endswith('b.png'):
      is_detected.set()
    return _nothing()

  def write_overlay(self, image, stem, *names):
    if stem == 'a':  # The other image would be detected meanwhile.
      found.append(is_detected.wait(0.3 if is_large else _SECONDS))
    return write(self, image, stem, *names)

  monkeypatch.setattr(predict_files, '_LARGE_PIXELS', 20 * 30 - is_large)
  monkeypatch.setattr(overlay.Overlay, 'write', write_overlay)
  detector = predict_files.Detector(detect, ['cat'], [1])
  predict_files.predict_files(detector, paths, str(tmp_path / 'out'))
  assert found == [not is_large]
