"""Tests of the records of `scenes`."""

from benchmarks.scenes import dataset, records
from htc_tf.data.dataset_info import DatasetInfo


def test_records_are_written_once(tmp_path, monkeypatch):
  monkeypatch.setattr(dataset, 'SPLITS', {'train': 2, 'val': 1})
  folder = records.prepare(str(tmp_path))
  written = {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
  info = DatasetInfo.find(f'{folder}/train-*')
  assert info.num_images == 2
  monkeypatch.setattr(dataset, 'write', None)
  assert records.prepare(str(tmp_path)) == folder
  assert written == {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
