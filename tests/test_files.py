"""Tests of writing files completely or not at all."""

import os
import pathlib

import pytest

from htc_tf import files
from htc_tf.errors import InputError


def test_the_file_is_replaced_when_the_block_ends(tmp_path):
  path = tmp_path / 'new' / 'a.json'
  for content in ('first', 'second'):
    with files.replaced_when_written(path) as temporary:
      assert temporary.endswith('.json')
      pathlib.Path(temporary).write_text(content)
  assert path.read_text() == 'second'
  assert list(path.parent.iterdir()) == [path]


def test_the_file_is_unchanged_when_the_block_fails(tmp_path):
  path = tmp_path / 'a.json'
  path.write_text('before')

  def write_half():
    with files.replaced_when_written(path) as temporary:
      pathlib.Path(temporary).write_text('half')
      raise RuntimeError('broke')

  with pytest.raises(RuntimeError, match='broke'):
    write_half()
  assert path.read_text() == 'before'
  assert list(tmp_path.iterdir()) == [path]


def test_temporary_names_are_those_of_nothing_else(tmp_path):
  """Another thread, or a process with the same id in another container, writes the same file."""
  path, mine = tmp_path / 'a.json', tmp_path / f'.a.{os.getpid()}.part.json'
  mine.write_text('mine')
  with files.replaced_when_written(path) as first, files.replaced_when_written(path) as second:
    assert len({first, second, str(mine)}) == 3
    for temporary in (first, second):
      name = os.path.basename(temporary)
      assert name.startswith('.a.') and name.endswith('.part.json')
      pathlib.Path(temporary).write_text(temporary)
  assert path.read_text() == first and mine.read_text() == 'mine'
  assert sorted(tmp_path.iterdir()) == sorted([path, mine])


def test_files_are_reserved_all_or_none(tmp_path):
  paths = [str(tmp_path / name) for name in 'abc']
  (tmp_path / 'b').write_text('mine')
  assert not files.reserve(paths) and os.listdir(tmp_path) == ['b']
  with pytest.raises(FileNotFoundError):
    files.reserve([paths[0], str(tmp_path / 'none' / 'd')])
  assert os.listdir(tmp_path) == ['b'] and files.reserve(paths[::2])
  assert sorted(os.listdir(tmp_path)) == ['a', 'b', 'c']
  assert (tmp_path / 'b').read_text() == 'mine'


def test_a_file_with_equal_content_is_not_rewritten(tmp_path):
  path = str(tmp_path / 'a')
  files.write_bytes(path, b'one')
  os.utime(path, (1, 1))
  files.write_bytes(path, b'one')
  assert os.stat(path).st_mtime == 1
  files.write_bytes(path, b'two')
  assert (tmp_path / 'a').read_bytes() == b'two'
  assert os.listdir(tmp_path) == ['a']


def test_a_failed_write_leaves_only_the_old_file(tmp_path, monkeypatch):
  files.write_bytes(str(tmp_path / 'a'), b'one')

  def fail(*_):
    raise KeyboardInterrupt

  monkeypatch.setattr(os, 'replace', fail)
  with pytest.raises(KeyboardInterrupt):
    files.write_bytes(str(tmp_path / 'a'), b'three')
  assert (tmp_path / 'a').read_bytes() == b'one'
  assert os.listdir(tmp_path) == ['a']


def test_a_new_folder_appears_when_the_block_ends(tmp_path):
  path = tmp_path / 'new' / '1'
  with files.new_folder_when_written(path) as folder:
    (pathlib.Path(folder) / 'a').write_text('one')
    assert not path.exists() and os.path.basename(folder).startswith('.')
  assert (path / 'a').read_text() == 'one'
  assert os.listdir(path.parent) == ['1']


def test_an_empty_folder_is_replaced(tmp_path):
  (tmp_path / '1').mkdir()
  with files.new_folder_when_written(f'{tmp_path}/1/') as folder:
    (pathlib.Path(folder) / 'a').write_text('one')
  assert os.listdir(tmp_path) == ['1'] and os.listdir(tmp_path / '1') == ['a']


def _write_one(path):
  with files.new_folder_when_written(path, last='a') as folder:
    (pathlib.Path(folder) / 'a').write_text('one')
    (pathlib.Path(folder) / 'b').mkdir()
    (pathlib.Path(folder) / 'b' / 'c').write_text('two')


def test_an_empty_folder_behind_a_link_is_written(tmp_path):
  (tmp_path / 'behind').mkdir()
  (tmp_path / 'link').symlink_to('behind')
  _write_one(tmp_path / 'link')
  assert os.path.islink(tmp_path / 'link')
  assert sorted(os.listdir(tmp_path / 'behind')) == ['a', 'b']
  assert sorted(os.listdir(tmp_path)) == ['behind', 'link']


def test_the_working_directory_stays_the_same_folder(tmp_path, monkeypatch):
  """A shell in it would see nothing in a folder that is removed under its feet."""
  monkeypatch.chdir(tmp_path)
  before = os.stat(tmp_path).st_ino
  _write_one('.')
  assert os.stat(tmp_path).st_ino == before
  assert sorted(os.listdir('.')) == ['a', 'b'] and os.listdir('b') == ['c']


def test_an_empty_folder_stays_empty_when_the_move_fails(tmp_path, monkeypatch):
  rename = os.rename

  def fail_at_the_end(source, target):
    if target == str(tmp_path / 'a'):
      raise PermissionError(13, 'Permission denied', target)
    rename(source, target)

  monkeypatch.setattr(os, 'rename', fail_at_the_end)
  with pytest.raises(PermissionError):
    _write_one(tmp_path)
  assert not os.listdir(tmp_path)


def test_files_that_appear_in_an_empty_folder_meanwhile_are_not_replaced(tmp_path):

  def write_meanwhile():
    with files.new_folder_when_written(tmp_path) as folder:
      (pathlib.Path(folder) / 'a').write_text('one')
      (tmp_path / 'a').write_text('mine')

  with pytest.raises(InputError, match=r'Got: 1 files .* such as a\..*another command'):
    write_meanwhile()
  assert os.listdir(tmp_path) == ['a'] and (tmp_path / 'a').read_text() == 'mine'


def test_an_empty_path_is_not_the_working_directory(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(InputError, match=r"is empty.*Got: ''.*variable of the shell that is not set"):
    files.check_new_folder('')


def test_no_folder_is_left_when_the_block_fails(tmp_path):
  def write_half():
    with files.new_folder_when_written(tmp_path / '1') as folder:
      (pathlib.Path(folder) / 'a').write_text('half')
      raise RuntimeError('broke')

  with pytest.raises(RuntimeError, match='broke'):
    write_half()
  assert not os.listdir(tmp_path)


def test_a_folder_in_use_is_an_error_with_the_likely_cause(tmp_path):
  (tmp_path / '1').mkdir()
  (tmp_path / '1' / 'mine').touch()
  for path, got in (
    (tmp_path / '1', 'a folder with files.* as mine'),
    (tmp_path / '1' / 'mine', 'a file'),
  ):
    with (
      pytest.raises(InputError, match=rf'{got}.*an earlier run of mine'),
      files.new_folder_when_written(path, 'an earlier run of mine'),
    ):
      pass
  assert os.listdir(tmp_path / '1') == ['mine']


def test_a_folder_below_a_file_is_an_input_error(tmp_path):
  (tmp_path / 'file').touch()
  with (
    pytest.raises(InputError, match=r'cannot be used.*Not a directory.*a file where'),
    files.new_folder_when_written(tmp_path / 'file' / '1'),
  ):
    pass


@pytest.mark.parametrize('path', ['/proc/x/1', '{tmp}/file/x/1', '{tmp}/broken/1'])
def test_a_folder_that_cannot_be_created_is_found_before_the_work(tmp_path, path):
  (tmp_path / 'file').touch()
  (tmp_path / 'broken').symlink_to(tmp_path / 'nowhere')
  path = path.format(tmp=tmp_path)
  with pytest.raises(InputError, match=f'{path} cannot be used. Expected: '):
    files.check_new_folder(path)
  files.check_new_folder(tmp_path / 'new' / '1')
  assert sorted(os.listdir(tmp_path)) == ['broken', 'file']


def test_an_error_of_writing_names_the_file(tmp_path):
  """The system's error on a full disk does not."""
  with (
    pytest.raises(OSError, match='/full') as raised,
    files.replaced_when_written(tmp_path / 'full'),
    open('/dev/full', 'wb') as file,
  ):
    file.write(b'x' * 100_000)
  assert str(raised.value.filename) == str(tmp_path / 'full')
  assert not os.listdir(tmp_path)


def test_damaged_files_are_set_aside_one_beside_the_other(tmp_path):
  path = tmp_path / 'results.csv'
  names = []
  for number in range(3):
    path.write_text(str(number))
    names.append(files.set_aside(str(path)))
  assert names == ['results.csv.damaged', 'results.csv.damaged2', 'results.csv.damaged3']
  assert [(tmp_path / name).read_text() for name in names] == ['0', '1', '2']
  assert not path.exists()
