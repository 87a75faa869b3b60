"""Tests of the images of reports, from folders and from records."""

import json
import logging

import numpy as np
import pytest
from PIL import Image

from htc_tf.reports import image_sources
from tests import tiny_records


@pytest.fixture(scope='module', name='data')
def _data(tmp_path_factory):
  """(entries of the annotations, folder, pattern of the records)."""
  folder = tmp_path_factory.mktemp('data')
  pattern = tiny_records.write(folder, prefix='val')
  entries = json.loads((folder / 'val_source.json').read_text())['images']
  return entries, folder, pattern


@pytest.fixture(params=['folder', 'records'], name='read')
def _read(request, data):
  _, folder, pattern = data
  if request.param == 'folder':
    return lambda entries: image_sources.read_from_folder(str(folder / 'val_images'), entries)
  return lambda entries: image_sources.read_from_records(pattern, entries)


def test_the_wanted_images_are_read(data, read):
  entries, folder, _ = data
  found = read(entries[1:3])
  assert sorted(found) == [2, 3]
  for id_, pixels in found.items():
    expected = np.asarray(Image.open(folder / 'val_images' / f'{id_}.png'))
    np.testing.assert_array_equal(pixels, expected)


def test_images_that_are_missing_or_of_another_size_are_left_out(data, read, caplog):
  entries, _, _ = data
  missing = {**entries[0], 'id': 99, 'file_name': '99.png'}
  other = {**entries[1], 'height': 7}
  with caplog.at_level(logging.WARNING):
    assert sorted(read([entries[2], missing, other])) == [3]
  assert any('2.png cannot be shown: it has (64, 64)' in text for text in caplog.messages)


def test_names_that_leave_the_folder_are_not_followed(data, tmp_path):
  entries, folder, _ = data
  (tmp_path / 'images').mkdir()
  entry = {**entries[0], 'file_name': f'../../{folder.name}/val_images/1.png'}
  assert not image_sources.read_from_folder(str(tmp_path / 'images'), [entry])


def test_damaged_records_do_not_hide_the_others(data, tmp_path):
  entries, _, pattern = data
  source = pattern.replace('*', '00000-of-00001')
  with open(source, 'rb') as file:
    content = file.read()
  (tmp_path / 'val-00000-of-00001.tfrecord').write_bytes(content[: len(content) - 40])
  found = image_sources.read_from_records(str(tmp_path / 'val-*.tfrecord'), entries)
  assert sorted(found) == [1, 2, 3]
