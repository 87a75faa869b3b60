"""Tests of the metadata of a data set."""

import dataclasses
import subprocess
import sys

import pytest

from htc_tf.data import dataset_info
from htc_tf.errors import DataError

INFO = dataset_info.DatasetInfo(
  name='pets',
  num_images=3,
  num_instances=4,
  num_shards=2,
  categories=(dataset_info.Category(3, 'cat', 1), dataset_info.Category(8, 'dog', 2)),
  semantic=dataset_info.SemanticInfo('instances', 3),
  include_masks=True,
  annotation_file='train_annotations.json',
  checks={'box_clipped': 1},
  fingerprint='f',
)


@pytest.fixture
def folder(tmp_path):
  INFO.save(str(tmp_path / 'train.json'))
  dataclasses.replace(INFO, name='val', semantic=None).save(str(tmp_path / 'val.json'))
  (tmp_path / 'train_annotations.json').write_text('{"images": []}', encoding='utf-8')
  return tmp_path


def test_saved_metadata_is_loaded_unchanged(folder):
  loaded = dataset_info.DatasetInfo.load(str(folder / 'train.json'))
  assert loaded == INFO
  assert loaded.category_names == ['cat', 'dog']
  assert loaded.category_ids == [3, 8]
  assert loaded.num_classes == 3
  assert loaded.annotation_path == str(folder / 'train_annotations.json')


@pytest.mark.parametrize(
  'pattern',
  [
    'train-*.tfrecord',
    'train-00001-of-00002.tfrecord',
    'train*',
    'train-?????-of-00002.tfrecord',
    'train-00000-of-00002.tfrecord,{}/train-00001-of-00002.tfrecord',
  ],
)
def test_metadata_is_found_by_a_pattern_of_shards(folder, pattern):
  path = f'{folder}/{pattern}'.format(folder)
  assert dataset_info.DatasetInfo.find(path) == INFO


def test_metadata_is_found_by_a_pattern_of_folders(tmp_path):
  (tmp_path / 'pets').mkdir()
  INFO.save(str(tmp_path / 'pets' / 'val.json'))
  assert dataset_info.DatasetInfo.find(f'{tmp_path}/*/val-*').name == 'pets'


@pytest.mark.parametrize(
  'pattern', ['trian-*.tfrecord', 'train-00000-of-00004.tfrecord', 'sub/train-*']
)
def test_a_path_without_metadata_is_refused(folder, pattern):
  with pytest.raises(DataError, match='No metadata of a data set belongs to'):
    dataset_info.DatasetInfo.find(str(folder / pattern))


def test_the_error_lists_the_metadata_in_the_folder(folder):
  with pytest.raises(DataError, match=r'Got: metadata files there: train.json'):
    dataset_info.DatasetInfo.find(str(folder / 'test-*'))
  with pytest.raises(DataError, match='Got: no folder'):
    dataset_info.DatasetInfo.find(str(folder / 'nowhere' / 'test-*'))


def test_a_pattern_of_several_data_sets_is_refused(folder):
  with pytest.raises(DataError, match='matches several data sets'):
    dataset_info.DatasetInfo.find(str(folder / '*.tfrecord'))


def test_other_files_are_refused(folder):
  with pytest.raises(DataError, match='is not the metadata of a data set'):
    dataset_info.DatasetInfo.load(str(folder / 'train_annotations.json'))
  with pytest.raises(DataError, match='cannot be read'):
    dataset_info.DatasetInfo.load(str(folder / 'nothing.json'))
  (folder / 'bad.json').write_text('{', encoding='utf-8')
  with pytest.raises(DataError, match='is not JSON'):
    dataset_info.DatasetInfo.load(str(folder / 'bad.json'))


def test_other_json_files_beside_the_shards_are_ignored(folder):
  (folder / 'notes.json').write_text('{', encoding='utf-8')
  assert dataset_info.DatasetInfo.find(str(folder / 'train-*')) == INFO


def test_metadata_of_many_categories_is_found(folder):
  names = tuple(
    dataset_info.Category(label, f'category {label} {"x" * 60}', label)
    for label in range(1, 50_001)
  )
  info = dataclasses.replace(INFO, categories=names)
  info.save(str(folder / 'train.json'))
  assert (folder / 'train.json').stat().st_size > 2**22
  assert dataset_info.DatasetInfo.find(str(folder / 'train-*')) == info


def test_labels_must_be_contiguous(folder):
  categories = (dataset_info.Category(3, 'cat', 1), dataset_info.Category(8, 'dog', 3))
  dataclasses.replace(INFO, categories=categories).save(str(folder / 'train.json'))
  with pytest.raises(DataError, match=r'are not contiguous. Expected: 1..K'):
    dataset_info.DatasetInfo.load(str(folder / 'train.json'))


def test_metadata_is_read_without_tensorflow():
  code = 'import sys, htc_tf.data.dataset_info; sys.exit("tensorflow" in sys.modules)'
  assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


def test_metadata_is_found_by_a_list_of_patterns(tmp_path):
  pattern = str(tmp_path / 'train-*.tfrecord')
  with pytest.raises(DataError, match='No metadata of a data set belongs to'):
    dataset_info.DatasetInfo.find([pattern])
  info = dataset_info.DatasetInfo('n', 1, 0, 1, (), None, False, 'train_annotations.json')
  info.save(str(tmp_path / 'train.json'))
  find = dataset_info.DatasetInfo.find
  assert find([pattern, pattern]) == find(f'{pattern},{pattern}') == info


def test_records_of_some_categories_get_the_labels_of_the_model():
  def info(*entries):
    categories = tuple(
      dataset_info.Category(id_, name, label) for label, (id_, name) in enumerate(entries, 1)
    )
    return dataset_info.DatasetInfo('x', 1, 1, 1, categories, None, True, 'x.json')

  model = info((1, 'cat'), (5, 'dog'), (9, 'emu'))
  assert model.label_map(model) == [0, 1, 2, 3]
  assert info((5, 'dog'), (9, 'emu')).label_map(model) == [0, 2, 3]
  assert info((9, 'emu'), (1, 'cat')).label_map(model) == [0, 3, 1]
  assert info((5, 'cat')).label_map(model) is None
  assert info((1, 'cat'), (7, 'dog')).label_map(model) is None
