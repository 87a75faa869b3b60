"""Tests of the records of `scenes`."""

import pytest

from benchmarks.scenes import dataset, records
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import DataError


def test_records_are_written_once(tmp_path, monkeypatch):
  monkeypatch.setattr(dataset, 'SPLITS', {'train': 2, 'val': 1})
  folder = records.prepare(str(tmp_path))
  written = {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
  info = DatasetInfo.find(f'{folder}/train-*')
  assert info.num_images == 2
  monkeypatch.setattr(dataset, 'write', None)
  assert records.prepare(str(tmp_path)) == folder
  assert written == {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}


def test_pictures_of_another_version_are_refused(tmp_path, monkeypatch):
  monkeypatch.setattr(dataset, 'SPLITS', {'train': 1, 'val': 1})
  dataset.write(str(tmp_path / 'scenes'), seed=1)
  with pytest.raises(
    DataError, match=r'0000\.png is not a picture of this version.*another picture'
  ):
    records.prepare(str(tmp_path))
  (tmp_path / 'scenes' / 'train' / '0000.png').unlink()
  with pytest.raises(DataError, match='no picture'):
    records.prepare(str(tmp_path))
  assert not (tmp_path / 'records').exists()
