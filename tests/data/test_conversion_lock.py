"""Tests of the lock of conversions."""

import contextlib
import os

import pytest

from htc_tf.data import coco_to_tfrecord, conversion_lock, divided_conversion, split
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.errors import ConfigError
from tests import tiny_records


def options_of(folder, prefix='train'):
  return ConversionOptions('a.json', 'images', str(folder), prefix=prefix)


def test_a_second_conversion_of_the_same_prefix_is_refused(tmp_path):
  message = (
    f"(?s)writes records named 'train' into {tmp_path}.*process {os.getpid()}.*another --prefix"
  )
  with conversion_lock.exclusive([options_of(tmp_path)]):
    for _ in range(2):
      with (
        pytest.raises(ConfigError, match=message),
        conversion_lock.exclusive([options_of(tmp_path)]),
      ):
        pytest.fail('two conversions have the lock')
    with conversion_lock.exclusive([options_of(tmp_path, 'val'), options_of(tmp_path / 'sub')]):
      pass
  assert os.listdir(tmp_path) == ['sub']


def test_one_occupied_part_frees_the_others(tmp_path):
  parts = [options_of(tmp_path, 'val'), options_of(tmp_path)]
  with conversion_lock.exclusive(parts[1:]):
    with pytest.raises(ConfigError), conversion_lock.exclusive(parts):
      pytest.fail('one of the parts is occupied')
    with conversion_lock.exclusive(parts[:1]):
      pass


def test_both_conversions_ask_for_the_lock(tmp_path, monkeypatch):
  tiny_records.write(tmp_path)
  paths = ('train_source.json', 'train_images', 'output')
  options = ConversionOptions(*(str(tmp_path / name) for name in paths))
  asked = []

  @contextlib.contextmanager
  def refuse(parts):
    asked.append([part.prefix for part in parts])
    raise ConfigError('occupied')
    yield

  monkeypatch.setattr(conversion_lock, 'exclusive', refuse)
  with pytest.raises(ConfigError, match='occupied'):
    coco_to_tfrecord.convert(options)
  with pytest.raises(ConfigError, match='occupied'):
    divided_conversion.convert(options, split.Division(0.5))
  assert asked == [['train'], ['train', 'val']]
  assert not (tmp_path / 'output').exists()
