"""Tests of writing shards in worker processes: the bytes do not depend on the number."""

import hashlib
import subprocess
import sys

import pytest

from htc_tf import processes
from htc_tf.data import record_example, record_pool


@pytest.fixture
def num_workers(monkeypatch):
  """Numbers of processes of the pools that a test makes."""
  numbers = []
  make = processes.WorkerPool
  monkeypatch.setattr(
    processes, 'WorkerPool', lambda number, update: numbers.append(number) or make(number, update)
  )
  return numbers


def test_one_and_two_processes_give_the_same_bytes(coco, monkeypatch, num_workers):
  coco.convert(semantic='instances')
  of_one_process = coco.shard_bytes()
  for path in coco.output.iterdir():
    path.unlink()
  monkeypatch.setattr(record_pool, '_IMAGES_PER_WORKER', 1)
  coco.convert(semantic='instances', num_processes=2)
  assert num_workers == [1, 2]
  assert coco.shard_bytes() == of_one_process
  assert sorted(path.name for path in coco.output.iterdir()) == [
    'train-00000-of-00002.tfrecord',
    'train-00001-of-00002.tfrecord',
    'train.json',
    'train_annotations.json',
  ]


def test_few_images_are_written_without_other_processes(coco, num_workers):
  coco.convert(num_processes=2)
  assert num_workers == [1]


def test_serialized_examples_do_not_depend_on_the_process():
  """The order of a feature map depends on a hash that differs between processes."""
  code = (
    'import hashlib\nfrom htc_tf.data import record_example\n'
    'features = {f"image/{n}": [n] for n in range(40)}\n'
    'print(hashlib.sha256(record_example.serialize(features)).hexdigest())'
  )
  features = {f'image/{n}': [n] for n in range(40)}
  here = hashlib.sha256(record_example.serialize(features)).hexdigest()
  there = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert there.stdout.strip() == here
