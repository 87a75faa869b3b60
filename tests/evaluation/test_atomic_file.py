"""Tests of writing files whole or not at all."""

import pytest

from htc_tf.evaluation import atomic_file


def test_replaces_the_file_when_the_block_ends(tmp_path):
  path = tmp_path / 'new' / 'a.json'
  for content in ('first', 'second'):
    with atomic_file.replaced_when_written(path) as temporary:
      assert temporary.suffix == '.json'
      temporary.write_text(content)
  assert path.read_text() == 'second'
  assert list(path.parent.iterdir()) == [path]


def test_leaves_the_file_alone_when_the_block_fails(tmp_path):
  path = tmp_path / 'a.json'
  path.write_text('before')
  with pytest.raises(RuntimeError, match='broke'):
    with atomic_file.replaced_when_written(path) as temporary:
      temporary.write_text('half')
      raise RuntimeError('broke')
  assert path.read_text() == 'before'
  assert list(tmp_path.iterdir()) == [path]
