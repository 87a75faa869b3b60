"""Tests of reading checkpoints: real files of torch and Paddle, and hostile or damaged files."""

import contextlib
import hashlib
import pathlib
import random
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

from htc_tf.convert.checkpoint_file import read_checkpoint
from htc_tf.errors import CheckpointError
from parity.extract import weights
from tests.tiny_checkpoints import Call, Name, pickled, storage, tensor, torch_legacy, torch_zip

_FILES = pathlib.Path(__file__).parent / 'files'
_TORCH = ('sample.pth', 'sample_legacy.pth')
_LAYOUTS = ('sample_layouts.pth', 'sample_layouts_legacy.pth')
_PADDLE = ('sample_protocol2.pdparams', 'sample_protocol4.pdparams', 'sample_numpy2.pdparams')
_EVIL = {
  'evil.pth': 'posix.system',
  'evil_legacy.pth': '__builtin__.eval',
  'evil.pdparams': 'posix.system',
}
# The hostile files create this file if their code is executed.
_TRACE = pathlib.Path('/tmp/htc_tf_pwned')
_MUTATIONS = 250

_VALUES = np.arange(6, dtype=np.float32)
_STORAGES = {'0': _VALUES.tobytes()}
_TENSOR = tensor(storage('0', 6), (2, 3))


def _write(folder, data, name='file.pth'):
  path = folder / name
  path.write_bytes(data)
  return str(path)


@pytest.mark.parametrize('name', _TORCH + _PADDLE)
def test_files_of_torch_and_paddle_are_read(name):
  checkpoint = read_checkpoint(_FILES / name)
  torch = name in _TORCH
  rule = weights.mmdet_weight if torch else weights.paddle_weight
  assert checkpoint.source == ('torch' if torch else 'paddle')
  assert checkpoint.path == str(_FILES / name)
  assert checkpoint.sha256 == hashlib.sha256((_FILES / name).read_bytes()).hexdigest()
  assert len(checkpoint.tensors) == (9 if torch else 7)
  for key, array in checkpoint.tensors.items():
    expected = rule(key, array.shape)
    assert array.dtype == expected.dtype and not array.flags.writeable
    np.testing.assert_array_equal(array, expected)


def test_entries_are_in_the_order_of_the_file():
  names = list(read_checkpoint(_FILES / 'sample.pth').tensors)
  assert names[0] == 'backbone.conv1.weight'
  assert names[5] == 'backbone.bn1.num_batches_tracked'
  assert names[-1] == 'roi_head.mask_head.0.upsample.weight'


@pytest.mark.parametrize('name', _LAYOUTS)
def test_views_and_other_layouts_are_read(name):
  base = np.arange(24, dtype=np.float32).reshape(4, 6)
  expected = {
    'a_view': base[1:3],
    'b_transposed': base.T,
    'c_half': base.astype(np.float16),
    'd_int64': np.arange(5),
    'e_scalar': np.float32(2.5),
    'f_empty': np.zeros((0, 3), np.float32),
    'g_parameter': base[:2],
    'h_double': base.astype(np.float64),
  }
  tensors = read_checkpoint(_FILES / name).tensors
  assert list(tensors) == list(expected)
  for key, array in tensors.items():
    assert (array.dtype, array.shape) == (expected[key].dtype, expected[key].shape)
    np.testing.assert_array_equal(array, expected[key])


@pytest.mark.parametrize('name, refused', _EVIL.items())
def test_hostile_files_are_refused_and_not_executed(name, refused):
  _TRACE.unlink(missing_ok=True)
  with pytest.raises(CheckpointError, match=refused) as error:
    read_checkpoint(_FILES / name)
  assert name in str(error.value)
  assert not _TRACE.exists()


@pytest.mark.parametrize(
  'stored',
  [
    {'w': _TENSOR},
    {'module.w': _TENSOR},
    {'model': {'w': _TENSOR}, 'epoch': 3},
    {'state_dict': {'w': _TENSOR, 'ema_w': _TENSOR}, 'ema_state_dict': {'v': _TENSOR}},
    {'model': {'state_dict': {'w': _TENSOR}}},
  ],
)
def test_the_state_dict_is_found(tmp_path, stored):
  for data in (torch_zip(stored, _STORAGES), torch_legacy(stored, {'0': (6, _STORAGES['0'])})):
    tensors = read_checkpoint(_write(tmp_path, data)).tensors
    assert list(tensors) == ['w']
    np.testing.assert_array_equal(tensors['w'], _VALUES.reshape(2, 3))


def test_the_metadata_of_mmengine_is_skipped(tmp_path):
  history = Name('mmengine.logging.history_buffer.HistoryBuffer')
  method = Call('__builtin__.getattr', (history, 'mean'))
  state = {'_log_history': np.arange(3.0), '_statistics_methods': {'mean': method}}
  buffer = Call(str(history), (), state)
  stored = {
    'meta': {
      'time': Call('datetime.datetime', (b'\x07\xe8\x01\x01\0\0\0\0\0\0',)),
      'cfg': 'x' * 5000,
      'CLASSES': ('person', 'bicycle'),
      'seed': np.int64(1),
      'hooks': Call('collections.defaultdict', (Name('__builtin__.list'),)),
    },
    'state_dict': {'w': _TENSOR},
    'message_hub': {'log_scalars': Call('collections.OrderedDict', ([['loss', buffer]],))},
    'optimizer': {'state': {0: {'momentum_buffer': _TENSOR}}, 'param_groups': [{'lr': 0.02}]},
    'param_schedulers': [{'milestones': Call('collections.Counter', ({8: 1, 11: 1},))}],
  }
  assert list(read_checkpoint(_write(tmp_path, torch_zip(stored, _STORAGES))).tensors) == ['w']


@pytest.mark.parametrize(
  'stored, reason',
  [
    ({}, 'no tensors'),
    ({'state_dict': {}}, 'no tensors'),
    ({'ema_w': _TENSOR}, 'no tensors'),
    ([_TENSOR], 'list instead of'),
    ({'w': _TENSOR, 'epoch': 3}, "'epoch' has the type int"),
    ({3: _TENSOR}, '3 has the type StoredArray'),
    ({'state_dict': {'w': 'text'}}, "'w' has the type str"),
    (
      {'w': Call('numpy.core.multiarray._reconstruct', (Name('numpy.ndarray'), (0,), 'b'))},
      'never set',
    ),
  ],
)
def test_files_without_a_state_dict_are_refused(tmp_path, stored, reason):
  with pytest.raises(CheckpointError, match=reason):
    read_checkpoint(_write(tmp_path, torch_zip(stored, _STORAGES)))


def test_a_hash_in_the_name_is_verified(tmp_path):
  data = (_FILES / 'sample.pth').read_bytes()
  digest = hashlib.sha256(data).hexdigest()
  for name in (
    f'htc_r50_fpn_1x_coco_20200317-{digest[:8]}.pth',
    f'resnet50-{digest}.pth',
    'htc-20240131.pth',
    'htc-notahash.pth',
    f'00000000-{digest[:8]}.pth',
  ):
    assert read_checkpoint(_write(tmp_path, data, name)).sha256 == digest
  for name in (
    'htc_r50_fpn_1x_coco_20200317-7332cf16.pth',
    'resnet50-19c8e357.pth',
    f'resnet50-{digest[:8]}0.pth',
    'model-99999999.pdparams',
  ):
    with pytest.raises(CheckpointError, match='hash in its name') as error:
      read_checkpoint(_write(tmp_path, data, name))
    assert name.rsplit('-', 1)[1].split('.')[0] in str(error.value) and digest in str(error.value)


@pytest.mark.parametrize(
  'data',
  [
    b'',
    b'P',
    b'PK\x03\x04',
    b'\x80',
    b'\x80\x02',
    b'<!DOCTYPE html><html>',
    b'weights' * 1000,
    bytes(10_000),
    bytes(range(256)) * 40,
  ],
)
def test_files_that_are_not_checkpoints_are_refused(tmp_path, data):
  with pytest.raises(CheckpointError, match='was refused'):
    read_checkpoint(_write(tmp_path, data))


def test_missing_files_and_directories_are_refused(tmp_path):
  with pytest.raises(CheckpointError, match='no file'):
    read_checkpoint(tmp_path / 'absent.pth')
  with pytest.raises(CheckpointError, match='a directory'):
    read_checkpoint(tmp_path)
  with pytest.raises(CheckpointError, match='no checkpoint file'):
    read_checkpoint('/dev/zero')


def test_tensors_share_the_bytes_of_the_file(tmp_path):
  values = np.zeros(2**20, np.float32)
  stored = {f'w{index}': tensor(storage('0', 2**20), (2**20,)) for index in range(200)}
  path = _write(tmp_path, torch_zip(stored, {'0': values.tobytes()}))
  tracemalloc.start()
  try:
    assert len(read_checkpoint(path).tensors) == 200
    assert tracemalloc.get_traced_memory()[1] < 2 * values.nbytes + 2**20
  finally:
    tracemalloc.stop()


def test_a_storage_read_as_many_types_is_refused(tmp_path):
  untyped = storage('0', 2**16, 'torch.UntypedStorage')
  stored = {
    dtype: Call(
      'torch._utils._rebuild_tensor_v3',
      (untyped, 0, (2,), (1,), False, None, Name(f'torch.{dtype}')),
    )
    for dtype in ('bfloat16', 'float32', 'float64', 'int64')
  }
  data = torch_zip(stored, {'0': bytes(2**16)}, byteorder='big')
  with pytest.raises(CheckpointError, match='need more'):
    read_checkpoint(_write(tmp_path, data))


def test_a_text_reused_for_many_arrays_is_refused(tmp_path):
  """Hundreds of arrays that recall one text would take hundreds of times the size of the file."""
  dtype = Call('numpy.dtype', ('u1', False, True), (3, '|', None, None, None, -1, -1, 0))
  encoded = Call('_codecs.encode', ('a' * 10**6, 'latin1'))
  array = Call(
    'numpy.core.multiarray._reconstruct',
    (Name('numpy.ndarray'), (0,), 'b'),
    (1, (10**6,), dtype, False, encoded),
  )
  text = encoded.arguments[0]
  data = pickled({f'w{index}': array for index in range(300)})
  assert data.count(text.encode()) == 1  # The text is recalled, not repeated.
  with pytest.raises(CheckpointError, match='need more'):
    read_checkpoint(_write(tmp_path, data))


def test_reading_imports_no_framework():
  program = (
    'import sys; from htc_tf.convert import checkpoint_file; '
    'sys.exit(bool({"tensorflow", "torch", "paddle"} & set(sys.modules)))'
  )
  assert subprocess.run([sys.executable, '-c', program], check=False).returncode == 0


@pytest.mark.parametrize('name', _TORCH + _LAYOUTS + _PADDLE)
def test_truncated_files_are_refused(tmp_path, name):
  data = (_FILES / name).read_bytes()
  generator = random.Random(1)
  lengths = [0, 1, 2, len(data) - 1, *(generator.randrange(len(data)) for _ in range(40))]
  for length in lengths:
    with pytest.raises(CheckpointError):
      read_checkpoint(_write(tmp_path, data[:length]))


@pytest.mark.parametrize('name', _TORCH + _LAYOUTS + _PADDLE + tuple(_EVIL))
def test_mutated_files_are_read_or_refused(tmp_path, name):
  data = (_FILES / name).read_bytes()
  generator = random.Random(name)
  _TRACE.unlink(missing_ok=True)
  for _ in range(_MUTATIONS):
    path = _write(tmp_path, _mutated(data, generator))
    with contextlib.suppress(CheckpointError):
      read_checkpoint(path)
  assert not _TRACE.exists()
  assert [entry.name for entry in tmp_path.iterdir()] == ['file.pth']


@pytest.mark.parametrize('name', ['sample.pth', 'sample_layouts.pth', 'evil.pth'])
def test_mutated_pickles_in_valid_archives_are_read_or_refused(tmp_path, name):
  with zipfile.ZipFile(_FILES / name) as archive:
    entries = {entry.split('/', 1)[1]: archive.read(entry) for entry in archive.namelist()}
  pickle = entries.pop('data.pkl')
  generator = random.Random(name)
  outcomes = set()
  for _ in range(_MUTATIONS):
    path = _write(tmp_path, torch_zip(_mutated(pickle, generator), **entries))
    try:
      outcomes.add(len(read_checkpoint(path).tensors))
    except CheckpointError:
      outcomes.add(None)
  assert None in outcomes and not _TRACE.exists()


def _mutated(data, generator):
  """`data` with one to eight bytes replaced, mostly at the beginning, where its metadata is."""
  changed = bytearray(data)
  for _ in range(generator.choice((1, 1, 2, 8))):
    end = generator.choice((2000, len(data)))
    changed[generator.randrange(min(end, len(data)))] = generator.randrange(256)
  return bytes(changed)
