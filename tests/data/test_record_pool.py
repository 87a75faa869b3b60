"""Tests of writing shards in worker processes: any number of them writes the same bytes."""

import hashlib
import subprocess
import sys

from htc_tf.data import record_example


def test_one_and_two_processes_give_the_same_bytes(coco):
  coco.convert(semantic='instances')
  alone = coco.shard_bytes()
  for path in coco.output.iterdir():
    path.unlink()
  coco.convert(semantic='instances', num_processes=2)
  assert coco.shard_bytes() == alone
  assert sorted(path.name for path in coco.output.iterdir()) == [
    'train-00000-of-00002.tfrecord',
    'train-00001-of-00002.tfrecord',
    'train.json',
    'train_annotations.json',
  ]


def test_serialized_examples_do_not_depend_on_the_process():
  """Feature maps are hashed differently in each process; the bytes must not be."""
  code = (
    'import hashlib\nfrom htc_tf.data import record_example\n'
    'features = {f"image/{n}": [n] for n in range(40)}\n'
    'print(hashlib.sha256(record_example.serialize(features)).hexdigest())'
  )
  features = {f'image/{n}': [n] for n in range(40)}
  here = hashlib.sha256(record_example.serialize(features)).hexdigest()
  there = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert there.stdout.strip() == here
