"""Tests of writing shards in worker processes: the bytes do not depend on the number."""

import hashlib
import subprocess
import sys

from htc_tf.data import record_example


def test_one_and_two_processes_give_the_same_bytes(coco):
  coco.convert(semantic='instances')
  of_one_process = coco.shard_bytes()
  for path in coco.output.iterdir():
    path.unlink()
  coco.convert(semantic='instances', num_processes=2)
  assert coco.shard_bytes() == of_one_process
  assert sorted(path.name for path in coco.output.iterdir()) == [
    'train-00000-of-00002.tfrecord',
    'train-00001-of-00002.tfrecord',
    'train.json',
    'train_annotations.json',
  ]


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
