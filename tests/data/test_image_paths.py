"""Tests of file names that must not lead out of the image folder."""

import pathlib
import unicodedata

import pytest

from htc_tf.data import image_paths
from htc_tf.errors import DataError


@pytest.mark.parametrize(
  'name',
  [
    '../a.jpg',
    '/etc/passwd',
    'b/../../a.jpg',
    '..',
    '.',
    '',
    '..\\a.jpg',
    'C:\\a.jpg',
    'c:a.jpg',
    'a\0.jpg',
  ],
)
def test_names_that_leave_the_folder_are_refused(name):
  with pytest.raises(DataError, match='leaves the image folder'):
    image_paths.path_inside('/images', name)


@pytest.mark.parametrize(
  'name,path',
  [
    ('a.jpg', '/images/a.jpg'),
    ('b/c/a.jpg', '/images/b/c/a.jpg'),
    ('b/../a.jpg', '/images/a.jpg'),
    ('..a.jpg', '/images/..a.jpg'),
    ('2023-01-02T12:30:00.jpg', '/images/2023-01-02T12:30:00.jpg'),
    ('bäume.jpg', '/images/bäume.jpg'),
  ],
)
def test_names_inside_the_folder_are_accepted(name, path):
  assert image_paths.path_inside('/images', name) == path


def test_links_inside_the_folder_are_followed(tmp_path):
  """Users collect images of several disks by links; an annotation file cannot create a link."""
  (tmp_path / 'elsewhere').mkdir()
  (tmp_path / 'elsewhere' / 'a.jpg').write_bytes(b'image')
  (tmp_path / 'images').mkdir()
  (tmp_path / 'images' / 'a.jpg').symlink_to(tmp_path / 'elsewhere' / 'a.jpg')
  path = image_paths.path_inside(str(tmp_path / 'images'), 'a.jpg')
  assert pathlib.Path(path).read_bytes() == b'image'


@pytest.mark.parametrize('on_disk, in_file', [('NFD', 'NFC'), ('NFC', 'NFD')])
def test_accents_in_another_unicode_form_are_found(tmp_path, on_disk, in_file):
  name = unicodedata.normalize(on_disk, 'bäume.jpg')
  (tmp_path / name).write_bytes(b'image')
  path = image_paths.path_inside(str(tmp_path), unicodedata.normalize(in_file, 'bäume.jpg'))
  assert pathlib.Path(path).read_bytes() == b'image'
