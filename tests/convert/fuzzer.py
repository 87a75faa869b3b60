"""Fuzzer that gives mutated checkpoint files to the readers and observes them (`make fuzz`).

python -m tests.convert.fuzzer --files=100000 --seed=1

It prints one JSON object: the number of files read and refused, the largest memory, and the
failures. It runs in a separate process, because Python's audit hooks cannot be removed.
"""

import argparse
import codecs
import collections
import json
import os
import pathlib
import random
import sys
import tempfile
import tracemalloc
import zipfile

import numpy as np

from htc_tf.convert.checkpoint_file import read_checkpoint
from htc_tf.errors import CheckpointError
from tests import tiny_checkpoints as tiny

_FILES = pathlib.Path(__file__).parent / 'files'
_NAMES = (
  'sample.pth',
  'sample_legacy.pth',
  'sample_layouts.pth',
  'sample_layouts_legacy.pth',
  'sample_protocol2.pdparams',
  'sample_protocol4.pdparams',
  'sample_numpy2.pdparams',
  'evil.pth',
  'evil_legacy.pth',
  'evil.pdparams',
)
# Limit for the Python objects of a small file, whose memory the budget of `PickleReader` bounds.
SPARE_BYTES = 2**20
_LIMITS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
_WATCHED = (
  'os.',
  'subprocess.',
  'socket.',
  'shutil.',
  'import',
  'exec',
  'compile',
  'ctypes.',
  'pickle.find_class',
)
_MAX_FAILURES = 20


class Watch:
  """An audit hook that, while on, records every access beyond reading the file."""

  def __init__(self):
    self.on = False
    self.events = []
    sys.addaudithook(self._record)

  def _record(self, event, arguments):
    if not self.on:
      return
    if event == 'open':
      _, mode, flags = arguments
      if any(letter in (mode or 'r') for letter in 'wax+') or (flags or 0) & (
        os.O_WRONLY | os.O_RDWR | os.O_CREAT
      ):
        self.events.append(f'open {arguments[0]!r}')
    elif event.startswith(_WATCHED):
      self.events.append(f'{event} {arguments[:1]!r}')


def sources():
  """Content of the files that are mutated, by name."""
  found = {name: (_FILES / name).read_bytes() for name in _NAMES}
  values = bytes(2**20)
  large = {
    f'w{index}': tiny.tensor(tiny.storage(str(index), 2**16), (2**8, 2**8)) for index in range(4)
  }
  found['large.pth'] = tiny.torch_zip(large, {str(i): values[: 2**18] for i in range(4)})
  found['large_legacy.pth'] = tiny.torch_legacy(
    large, {str(i): (2**16, values[: 2**18]) for i in range(4)}
  )
  return found


def mutated(data, other, generator):
  """`data` after one to eight changes, mostly to its metadata.

  Args:
    data: content of the file.
    other: content of a file from which parts are copied.
    generator: random generator.
  """
  changed = bytearray(data)
  for _ in range(generator.choice((1, 1, 2, 3, 8))):
    if not changed:
      break
    end = generator.choice((64, 2000, len(changed), len(changed)))
    place = generator.randrange(min(end, len(changed)))
    if generator.random() < 0.2:  # The directory of a zip file is at its end.
      place = len(changed) - 1 - place
    generator.choice(_MUTATIONS)(changed, place, other, generator)
  return bytes(changed)


def _set_byte(data, place, _, generator):
  data[place] = generator.randrange(256)


def _flip_bit(data, place, _, generator):
  data[place] ^= 1 << generator.randrange(8)


def _set_limit(data, place, _, generator):
  """Write a limit of an integer type of 1 to 8 bytes, as in crafted sizes and offsets."""
  size = generator.choice((1, 2, 4, 8))
  number = generator.choice(_LIMITS) % 256**size
  data[place : place + size] = number.to_bytes(size, generator.choice(('little', 'big')))


def _remove(data, place, _, generator):
  del data[place : place + generator.choice((1, 2, 16, 256))]


def _truncate(data, place, *_):
  del data[place:]


def _repeat(data, place, _, generator):
  part = data[place : place + generator.choice((1, 4, 32, 256))]
  data[place:place] = part * generator.choice((1, 2, 100))


def _insert(data, place, _, generator):
  data[place:place] = generator.randbytes(generator.choice((1, 2, 8)))


def _copy_from_other(data, place, other, generator):
  begin = generator.randrange(len(other))
  size = generator.choice((4, 32, 256))
  data[place : place + generator.choice((0, size))] = other[begin : begin + size]


_MUTATIONS = (
  _set_byte,
  _set_byte,
  _flip_bit,
  _set_limit,
  _set_limit,
  _remove,
  _truncate,
  _repeat,
  _insert,
  _copy_from_other,
)


def mutated_files(num_files, seed):
  """Pairs of the name of the source and the bytes of a mutated file.

  For half of the zip files, only the pickle inside is mutated, and the checksums are correct.
  """
  generator = random.Random(seed)
  files = sources()
  names = sorted(files)
  for _ in range(num_files):
    name, other = generator.choice(names), files[generator.choice(names)]
    data = files[name]
    if data[:4] == b'PK\x03\x04' and generator.random() < 0.5:
      yield name, _with_mutated_pickle(data, other, generator)
    else:
      yield name, mutated(data, other, generator)


def _with_mutated_pickle(data, other, generator):
  with tempfile.SpooledTemporaryFile() as file:
    file.write(data)
    with zipfile.ZipFile(file) as archive:
      entries = {name.split('/', 1)[1]: archive.read(name) for name in archive.namelist()}
  return tiny.torch_zip(mutated(entries.pop('data.pkl'), other, generator), **entries)


def read(path):
  """The number of tensors in a file, after reading every number; None if the file is refused."""
  try:
    tensors = read_checkpoint(path).tensors
  except CheckpointError:
    return None
  for array in tensors.values():
    np.count_nonzero(array)
  return len(tensors)


def run(num_files, seed, folder):
  """The report of reading mutated files."""
  watch = Watch()
  path = pathlib.Path(folder) / 'file.bin'
  path.write_bytes(next(iter(sources().values())))
  # Import before watching: zipfile uses cp437 for names that are not marked as UTF-8.
  codecs.lookup('cp437')
  read(path)
  report = {'files': 0, 'read': 0, 'refused': 0, 'largest_spare_bytes': 0, 'failures': []}
  kinds = collections.Counter()
  tracemalloc.start()
  for name, data in mutated_files(num_files, seed):
    path.write_bytes(data)
    failure = _observe(path, len(data), watch, report)
    report['files'] += 1
    if failure:
      kinds[failure[:60]] += 1
      if kinds[failure[:60]] == 1 and len(report['failures']) < _MAX_FAILURES:
        report['failures'].append(f'file {report["files"]} of {name}: {failure}')
  report['num_failures'] = sum(kinds.values())
  report['left_in_folder'] = sorted(entry.name for entry in pathlib.Path(folder).iterdir())
  return report


def _observe(path, size, watch, report):
  """The failure of reading one file, which is counted in the report; empty if there is none."""
  before = tracemalloc.get_traced_memory()[0]
  tracemalloc.reset_peak()
  watch.events.clear()
  watch.on = True
  try:
    report['refused' if read(path) is None else 'read'] += 1
  except Exception as error:
    return f'{type(error).__name__}: {error}'
  finally:
    watch.on = False
  # The readers may take twice the size of the file: its mapping, which is not traced, and as much
  # again.
  taken = tracemalloc.get_traced_memory()[1] - before - size
  report['largest_spare_bytes'] = max(report['largest_spare_bytes'], taken)
  if taken > SPARE_BYTES:
    return f'{taken} bytes more than twice the file size {size}'
  return '; '.join(watch.events)


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--files', type=int, default=1000)
  parser.add_argument('--seed', type=int, default=1)
  args = parser.parse_args()
  with tempfile.TemporaryDirectory() as folder:
    report = run(args.files, args.seed, folder)
  print(json.dumps(report, indent=2))
  return bool(report['failures'] or report['left_in_folder'] != ['file.bin'])


if __name__ == '__main__':
  sys.exit(main())
