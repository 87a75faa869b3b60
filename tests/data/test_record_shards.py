"""Tests of interrupted conversions: complete shards are kept, no partial file is visible."""

import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from htc_tf.data import record_shards


def uninterrupted_bytes(coco):
  """Content of the shards of an uninterrupted conversion, whose files are then removed."""
  coco.convert()
  whole = coco.shard_bytes()
  for path in coco.output.iterdir():
    path.unlink()
  return whole


def test_a_finished_conversion_is_not_repeated(coco, monkeypatch):
  first, _ = coco.convert()
  monkeypatch.setattr(record_shards, 'write_shard', None)
  second, summary = coco.convert()
  assert second == first and '1 crowd regions' in summary


def test_changed_inputs_are_converted_again_and_stale_shards_removed(coco):
  coco.convert()
  coco.content['annotations'].pop()
  info, _ = coco.convert(num_shards=3)
  assert info.num_instances == 3
  names = [f'train-0000{shard}-of-00003.tfrecord' for shard in range(3)]
  assert sorted(coco.shard_bytes()) == names
  Image.fromarray(np.zeros([16, 16, 3], np.uint8)).save(coco.images / '12.png')
  coco.convert(num_shards=3)
  assert not coco.records()[12]['image'].any()


def test_an_interrupted_conversion_continues(coco, monkeypatch):
  expected = uninterrupted_bytes(coco)
  real, written = record_shards.write_shard, []

  def write(task):
    if written:
      raise KeyboardInterrupt
    written.append(task.path)
    return real(task)

  monkeypatch.setattr(record_shards, 'write_shard', write)
  with pytest.raises(KeyboardInterrupt):
    coco.convert()
  assert not (coco.output / 'train.json').exists()
  monkeypatch.setattr(
    record_shards, 'write_shard', lambda task: written.append(task.path) or real(task)
  )
  info, summary = coco.convert()
  assert len(written) == len(set(written)) == 2
  assert info.num_instances == 4 and '1 crowd regions' in summary
  assert coco.shard_bytes() == expected


def test_a_killed_conversion_leaves_no_partial_file_and_continues(coco):
  """The process is killed in the middle of a shard."""
  expected = uninterrupted_bytes(coco)
  code = (
    'import os, sys, time\n'
    'from htc_tf.data import coco_to_tfrecord as c, record_example\n'
    'real, count = record_example.serialize, []\n'
    'def slow(features):\n'
    '  count.append(1)\n'
    '  if len(count) == 3:\n'
    '    print("stuck", flush=True)\n'
    '    time.sleep(60)\n'
    '  return real(features)\n'
    'record_example.serialize = slow\n'
    f'c.convert(c.{coco.options()!r})\n'
  )
  process = subprocess.Popen(
    [sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
  )
  assert process.stdout.readline() == b'stuck\n'
  process.send_signal(signal.SIGKILL)
  process.communicate()
  names = [path.name for path in coco.output.iterdir()]
  assert 'train-00000-of-00002.tfrecord' in names
  assert 'train-00001-of-00002.tfrecord' not in names and 'train.json' not in names
  coco.convert()
  assert coco.shard_bytes() == expected
  assert not [path.name for path in coco.output.iterdir() if path.name.startswith('.')]
