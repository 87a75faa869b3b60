"""Tests of checkpoints in a zip file."""

import pathlib
import shutil
import zipfile

import numpy as np
import pytest

from htc_tf.convert.checkpoint_file import read_checkpoint
from htc_tf.errors import CheckpointError

FILES = pathlib.Path(__file__).parent / 'files'


def pack(folder, names, compression=zipfile.ZIP_DEFLATED, entry=None):
  """The path of a zip file with some of the stored checkpoints."""
  path = folder / 'model.pth.zip'
  with zipfile.ZipFile(path, 'w', compression) as archive:
    for name in names:
      archive.write(FILES / name, entry or name)
  return path


def assert_same(found, expected):
  assert list(found.tensors) == list(expected.tensors) and found.source == expected.source
  for name, values in expected.tensors.items():
    np.testing.assert_array_equal(found.tensors[name], values)


@pytest.mark.parametrize('name', ['sample.pth', 'sample_legacy.pth', 'sample_protocol4.pdparams'])
@pytest.mark.parametrize('compression', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_packed_checkpoint_is_read_like_the_file_itself(tmp_path, name, compression):
  assert_same(read_checkpoint(pack(tmp_path, [name], compression)), read_checkpoint(FILES / name))


def test_a_checkpoint_in_a_folder_and_with_what_macos_adds(tmp_path):
  path = pack(tmp_path, ['sample.pth'], entry='weights/sample.pth')
  with zipfile.ZipFile(path, 'a') as archive:
    archive.writestr('__MACOSX/weights/._sample.pth', b'added')
  assert_same(read_checkpoint(path), read_checkpoint(FILES / 'sample.pth'))


def test_two_checkpoints_are_refused(tmp_path):
  path = pack(tmp_path, ['sample.pth', 'sample_legacy.pth'])
  with pytest.raises(CheckpointError, match=r'model.pth.zip was refused.*data.pkl'):
    read_checkpoint(path)


def test_a_packed_file_that_would_fill_the_memory_is_refused(tmp_path):
  path = tmp_path / 'model.pth.zip'
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
    archive.writestr('model.pth', bytes(10**6))
  with pytest.raises(CheckpointError, match=r'would have 1000000 bytes.*fill the memory'):
    read_checkpoint(path)


def test_a_damaged_packed_file_is_refused(tmp_path):
  path = pack(tmp_path, ['sample.pth'], zipfile.ZIP_STORED)
  data = bytearray(path.read_bytes())
  data[200] ^= 0xFF
  path.write_bytes(data)
  with pytest.raises(CheckpointError, match=r"'sample.pth' cannot be unpacked.*damaged"):
    read_checkpoint(path)


def test_a_packed_file_executes_nothing(tmp_path):
  with pytest.raises(CheckpointError, match=r'posix\.system'):
    read_checkpoint(pack(tmp_path, ['evil.pth']))


def test_a_truncated_packed_file_is_refused(tmp_path):
  path = pack(tmp_path, ['sample.pth'])
  short = tmp_path / 'short.pth.zip'
  shutil.copy(path, short)
  short.write_bytes(path.read_bytes()[:-30])
  with pytest.raises(CheckpointError, match=r'short.pth.zip was refused'):
    read_checkpoint(short)
