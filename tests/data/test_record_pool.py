"""Tests of worker processes: same bytes from any number of them, none outlives its parent."""

import hashlib
import os
import subprocess
import sys
import time

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


def test_workers_end_with_a_killed_parent(tmp_path):
  script = tmp_path / 'script.py'
  script.write_text(
    'import concurrent.futures, multiprocessing, os, time\n'
    'from htc_tf.data import record_pool\n'
    'if __name__ == "__main__":\n'
    '  context = multiprocessing.get_context("spawn")\n'
    '  pool = concurrent.futures.ProcessPoolExecutor(\n'
    '      1, context, record_pool._start_worker, (None,))\n'
    '  print(pool.submit(os.getpid).result(), flush=True)\n'
    '  time.sleep(60)\n',
    encoding='utf-8',
  )
  environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
  process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment)
  worker = int(process.stdout.readline())
  process.kill()
  process.communicate()
  deadline = time.monotonic() + 20
  while alive(worker) and time.monotonic() < deadline:
    time.sleep(0.05)
  assert not alive(worker)


def alive(pid):
  """Whether a process runs; one that has ended but was not reaped does not."""
  try:
    with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
      return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
  except FileNotFoundError:
    return False


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
