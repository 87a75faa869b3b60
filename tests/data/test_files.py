"""Tests of whole-or-absent files and of file names that must stay in their folder."""

import os

import pytest

from htc_tf.data import files
from htc_tf.errors import DataError


def test_write_leaves_equal_content_untouched(tmp_path):
  path = str(tmp_path / 'a')
  files.write_bytes(path, b'one')
  os.utime(path, (1, 1))
  files.write_bytes(path, b'one')
  assert os.stat(path).st_mtime == 1
  files.write_bytes(path, b'two')
  assert (tmp_path / 'a').read_bytes() == b'two'
  assert os.listdir(tmp_path) == ['a']


def test_a_failed_write_leaves_the_former_file_and_nothing_else(tmp_path, monkeypatch):
  files.write_bytes(str(tmp_path / 'a'), b'one')

  def fail(*_):
    raise KeyboardInterrupt

  monkeypatch.setattr(os, 'replace', fail)
  with pytest.raises(KeyboardInterrupt):
    files.write_bytes(str(tmp_path / 'a'), b'three')
  assert (tmp_path / 'a').read_bytes() == b'one'
  assert os.listdir(tmp_path) == ['a']


@pytest.mark.parametrize('name', [
    '../a.jpg', '/etc/passwd', 'b/../../a.jpg', '..', '.', '', '..\\a.jpg', 'C:\\a.jpg', 'a\0.jpg'
])
def test_names_that_leave_the_folder_are_refused(name):
  with pytest.raises(DataError, match='leaves the image folder'):
    files.path_inside('/images', name)


@pytest.mark.parametrize('name,path', [('a.jpg', '/images/a.jpg'),
                                       ('b/c/a.jpg', '/images/b/c/a.jpg'),
                                       ('b/../a.jpg', '/images/a.jpg'),
                                       ('..a.jpg', '/images/..a.jpg')])
def test_names_inside_the_folder(name, path):
  assert files.path_inside('/images', name) == path
