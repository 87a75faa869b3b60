"""Tests that a report replaces only files of an earlier report."""

import os

import numpy as np
import pytest

from htc_tf.errors import InputError
from htc_tf.reports import output_folder
from htc_tf.reports.page import Page

_PICTURES = {'a.png': np.zeros([3, 4, 3], np.uint8)}


def _write(folder):
  output_folder.check_replaceable(str(folder), 'index.html', _PICTURES)
  return output_folder.write_report(str(folder), 'index.html', Page('t'), _PICTURES)


def test_a_report_is_written_and_replaced(tmp_path):
  folder = tmp_path / 'new' / 'show'
  assert _write(folder) == [str(folder / 'index.html'), str(folder / 'a.png')]
  (folder / 'a.png').write_bytes(b'old')
  (folder / 'notes.txt').write_text('kept')
  _write(folder)
  assert (folder / 'a.png').read_bytes().startswith(b'\x89PNG')
  assert (folder / 'notes.txt').read_text() == 'kept'


@pytest.mark.parametrize('name', ['index.html', 'a.png'])
def test_files_of_someone_else_are_kept(tmp_path, name):
  (tmp_path / name).write_text('mine')
  with pytest.raises(InputError, match=f'not of an earlier report.*{name}'):
    _write(tmp_path)
  assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_text() == 'mine'


def test_a_folder_with_other_files_is_accepted(tmp_path):
  (tmp_path / 'notes.txt').write_text('kept')
  _write(tmp_path)
  assert sorted(os.listdir(tmp_path)) == ['a.png', 'index.html', 'notes.txt']


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
  (tmp_path / 'file').write_text('mine')
  with pytest.raises(InputError, match=r'a new folder.*a file'):
    _write(tmp_path / 'file')
