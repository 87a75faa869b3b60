"""Tests of writing files whole or not at all."""

import os

import pytest

from htc_tf import files


def test_replaces_the_file_when_the_block_ends(tmp_path):
  path = tmp_path / 'new' / 'a.json'
  for content in ('first', 'second'):
    with files.replaced_when_written(path) as temporary:
      assert temporary.suffix == '.json'
      temporary.write_text(content)
  assert path.read_text() == 'second'
  assert list(path.parent.iterdir()) == [path]


def test_leaves_the_file_alone_when_the_block_fails(tmp_path):
  path = tmp_path / 'a.json'
  path.write_text('before')

  def write_half():
    with files.replaced_when_written(path) as temporary:
      temporary.write_text('half')
      raise RuntimeError('broke')

  with pytest.raises(RuntimeError, match='broke'):
    write_half()
  assert path.read_text() == 'before'
  assert list(tmp_path.iterdir()) == [path]


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
