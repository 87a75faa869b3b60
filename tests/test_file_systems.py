"""Tests of file operations, on this machine and on `ram://` alike."""

import os
import pathlib
import subprocess
import sys
import uuid

import pytest

from htc_tf import file_systems, files
from htc_tf.errors import InputError, StorageError

_EXPECTED_ERRORS = (FileNotFoundError, FileExistsError, StorageError)


@pytest.fixture(name='folder', params=['local', 'ram'])
def _folder(request, tmp_path, monkeypatch):
  """A new folder; the working directory is another one, which must stay empty."""
  working_directory = tmp_path / 'working_directory'
  working_directory.mkdir()
  monkeypatch.chdir(working_directory)
  path = str(tmp_path / 'data') if request.param == 'local' else f'ram://{uuid.uuid4()}/data'
  file_systems.make_folders(path)
  yield path
  assert not os.listdir(working_directory)


def test_files_and_folders_are_told_apart(folder):
  files.write_bytes(f'{folder}/a/b.txt', b'one')
  assert file_systems.is_file(f'{folder}/a/b.txt') and not file_systems.is_folder(
    f'{folder}/a/b.txt'
  )
  assert file_systems.is_folder(f'{folder}/a') and not file_systems.is_file(f'{folder}/a')
  assert file_systems.exists(f'{folder}/a') and file_systems.exists(f'{folder}/a/b.txt')
  for check in (file_systems.exists, file_systems.is_file, file_systems.is_folder):
    assert not check(f'{folder}/missing')


def test_a_file_has_its_size_and_content(folder):
  files.write_bytes(f'{folder}/a', 'größer'.encode())
  assert file_systems.size(f'{folder}/a') == 8
  assert file_systems.read_bytes(f'{folder}/a') == 'größer'.encode()
  with file_systems.open_file(f'{folder}/a', 'r') as file:
    assert file.read() == 'größer'
  with file_systems.open_file(f'{folder}/a', 'rb') as file:
    file.seek(6)
    assert file.read(1) == b'e'


def test_text_is_utf_8(folder):
  with file_systems.open_file(f'{folder}/a', 'w') as file:
    file.write('größer')
  assert file_systems.read_bytes(f'{folder}/a') == 'größer'.encode()


def test_patterns_match_as_in_glob(folder):
  for name in ('b-1.json', 'a-1.json', '.hidden.json', 'a-1.txt', 'sub/a-2.json', 'sub/.b.json'):
    files.write_bytes(f'{folder}/{name}', b'')
  assert sorted(file_systems.glob(f'{folder}/*.json')) == [
    f'{folder}/a-1.json',
    f'{folder}/b-1.json',
  ]
  assert file_systems.glob(f'{folder}/[b]-?.json') == [f'{folder}/b-1.json']
  assert file_systems.glob(f'{folder}/*/*.json') == [f'{folder}/sub/a-2.json']
  assert file_systems.glob(f'{folder}/.h*') == [f'{folder}/.hidden.json']
  assert file_systems.glob(folder) == [folder]
  assert file_systems.glob(f'{folder}/missing-*') == []


def test_a_folder_with_wildcards_in_its_name_is_no_pattern(folder):
  for name in ('[ab]*', 'a'):
    files.write_bytes(f'{folder}/{name}/ckpt-1.index', b'')
  files.write_bytes(f'{folder}/[ab]*/.ckpt-1.index', b'')
  assert file_systems.glob_in(f'{folder}/[ab]*', '*.index') == [f'{folder}/[ab]*/ckpt-1.index']
  assert file_systems.glob_in(f'{folder}/missing', '*') == []


def test_a_folder_lists_all_names_in_order(folder):
  for name in ('b', '.hidden', 'sub/c'):
    files.write_bytes(f'{folder}/{name}', b'')
  assert file_systems.list_folder(folder) == ['.hidden', 'b', 'sub']


def test_a_folder_whose_name_starts_another_one_is_not_mixed_up(folder):
  files.write_bytes(f'{folder}/model.pth', b'1')
  files.write_bytes(f'{folder}/model2/ckpt-1.index', b'1')
  for path in (f'{folder}/model', f'{folder}/model/', f'{folder}/model2/ckpt-1'):
    for check in (file_systems.exists, file_systems.is_file, file_systems.is_folder):
      assert not check(path)
    files.check_new_folder(path)
  files.write_bytes(f'{folder}/model/a', b'1')
  assert file_systems.list_folder(f'{folder}/model') == ['a']
  assert file_systems.list_folder(folder) == ['model', 'model.pth', 'model2']
  assert file_systems.is_folder(f'{folder}/model/') and file_systems.is_folder(f'{folder}/model')


def test_files_and_folders_are_replaced_and_removed(folder):
  files.write_bytes(f'{folder}/a', b'new')
  files.write_bytes(f'{folder}/b', b'old')
  file_systems.replace(f'{folder}/a', f'{folder}/b')
  assert file_systems.list_folder(folder) == ['b']
  assert file_systems.read_bytes(f'{folder}/b') == b'new'
  file_systems.remove(f'{folder}/b')
  assert file_systems.list_folder(folder) == []
  files.write_bytes(f'{folder}/sub/sub/c', b'')
  file_systems.remove_folder(f'{folder}/sub')
  file_systems.remove_folder(f'{folder}/missing')
  assert not file_systems.exists(f'{folder}/sub/sub/c')


def test_missing_files_and_wrong_kinds_are_os_errors(folder):
  files.write_bytes(f'{folder}/file', b'')
  for broken in (
    lambda: file_systems.read_bytes(f'{folder}/missing'),
    lambda: file_systems.size(f'{folder}/missing'),
    lambda: file_systems.list_folder(f'{folder}/missing'),
    lambda: file_systems.remove(f'{folder}/missing'),
    lambda: file_systems.replace(f'{folder}/missing', f'{folder}/b'),
    lambda: file_systems.make_folders(f'{folder}/file'),
  ):
    with pytest.raises(_EXPECTED_ERRORS):
      broken()


def test_a_file_is_replaced_completely_or_not_at_all(folder):
  def write_half():
    with files.replaced_when_written(f'{folder}/a.json') as temporary:
      assert os.path.basename(temporary).startswith('.a.') and temporary.endswith('.part.json')
      with file_systems.open_file(temporary, 'wb') as file:
        file.write(b'half')
      raise RuntimeError('broke')

  files.write_bytes(f'{folder}/a.json', b'before')
  with pytest.raises(RuntimeError, match='broke'):
    write_half()
  assert file_systems.read_bytes(f'{folder}/a.json') == b'before'
  files.write_bytes(f'{folder}/a.json', b'after')
  assert file_systems.read_bytes(f'{folder}/a.json') == b'after'
  assert file_systems.list_folder(folder) == ['a.json']


def test_a_folder_is_written_completely_or_not_at_all(folder):
  def write(fail):
    with files.new_folder_when_written(f'{folder}/export/1/', last='b') as temporary:
      for name in ('b', 'c', 'sub/sub/d'):
        files.write_bytes(f'{temporary}/{name}', b'one')
      assert not file_systems.exists(f'{folder}/export/1')
      if fail:
        raise RuntimeError('broke')

  with pytest.raises(RuntimeError, match='broke'):
    write(fail=True)
  assert file_systems.list_folder(f'{folder}/export') == []
  write(fail=False)
  assert file_systems.list_folder(f'{folder}/export') == ['1']
  assert file_systems.list_folder(f'{folder}/export/1') == ['b', 'c', 'sub']
  assert file_systems.read_bytes(f'{folder}/export/1/sub/sub/d') == b'one'
  with pytest.raises(InputError, match='a folder with files'):
    write(fail=False)


def test_the_last_file_of_a_remote_folder_is_moved_last(monkeypatch):
  path = f'ram://{uuid.uuid4()}/1'
  moved, replace = [], file_systems.replace

  def record(source, target):
    replace(source, target)
    if target.startswith(f'{path}/'):
      moved.append(target.removeprefix(f'{path}/'))

  monkeypatch.setattr(file_systems, 'replace', record)
  with files.new_folder_when_written(path, last='b') as temporary:
    for name in ('a', 'b', 'sub/c'):
      files.write_bytes(f'{temporary}/{name}', b'')
  assert moved == ['a', 'sub/c', 'b']


def test_a_remote_folder_that_cannot_be_completed_is_removed(monkeypatch):
  path = f'ram://{uuid.uuid4()}/1'
  replace = file_systems.replace

  def fail_at_b(source, target):
    if target == f'{path}/b':
      raise StorageError('The connection was lost')
    replace(source, target)

  monkeypatch.setattr(file_systems, 'replace', fail_at_b)
  with pytest.raises(StorageError, match='connection'):
    _write_two_files(path)
  assert not file_systems.exists(f'{path}/a')
  assert not file_systems.glob(path.rpartition('/')[0] + '/.1.*')


def _write_two_files(path):
  with files.new_folder_when_written(path, last='b') as temporary:
    for name in ('a', 'b'):
      files.write_bytes(f'{temporary}/{name}', b'')


@pytest.mark.parametrize(
  'path, parent',
  [
    ('gs://bucket/folder/a', 'gs://bucket/folder'),
    ('gs://bucket/a', 'gs://bucket'),
    ('gs://bucket', 'gs://'),
    ('ram://a', 'ram://'),
    ('ram://', 'ram://'),
    ('folder/a', 'folder'),
    ('a', ''),
    ('/a', '/'),
  ],
)
def test_a_parent_folder_keeps_the_scheme(path, parent):
  assert file_systems.dirname(path) == parent


@pytest.mark.parametrize(
  'path, shortened',
  [('gs://b/x//', 'gs://b/x'), ('ram://', 'ram://'), ('/', '/'), ('a/b/', 'a/b'), ('a', 'a')],
)
def test_a_final_slash_is_removed(path, shortened):
  assert file_systems.without_final_slash(path) == shortened


@pytest.mark.parametrize('path', ['s3://b/x', 'https://host/x', 'GS://b/x', 'abfs+ssl://b/x'])
def test_an_unknown_file_system_is_named(path):
  scheme = path.partition(':')[0]
  with pytest.raises(
    InputError, match=rf'--model.*no file system for {scheme}://'.replace('+', r'\+')
  ):
    file_systems.check_usable(path, '--model')
  for use in (file_systems.exists, file_systems.read_bytes, file_systems.glob):
    with pytest.raises(InputError, match='no file system'):
      use(path)


@pytest.mark.parametrize('path', [pathlib.Path('gs://bucket/x'), 'gs:/bucket/x', 'hdfs:/x'])
def test_a_lost_slash_is_named(path):
  with pytest.raises(InputError, match=r'--model.*two slashes.*pathlib'):
    file_systems.check_usable(path, '--model')
  with pytest.raises(InputError, match=r'--model.*two slashes.*pathlib'):
    file_systems.check_local(path, '--model')


@pytest.mark.parametrize('path', ['gs://bucket/x', 's3://b/x', 'file:///tmp/x'])
def test_a_remote_path_is_refused_where_only_a_local_one_is_supported(path):
  with pytest.raises(InputError, match=r'--output cannot be on a remote.*gcloud storage cp'):
    file_systems.check_local(path, '--output')


@pytest.mark.parametrize('path', [None, '', 'a', '/a/b', 'a/b://c', '../x:y/z', 'run:1/x'])
def test_local_paths_are_accepted(path):
  file_systems.check_usable(path, '--model')
  file_systems.check_local(path, '--model')
  assert path is None or not file_systems.is_remote(path)


def test_an_unreachable_file_system_is_not_taken_for_an_empty_one(monkeypatch):
  import tensorflow as tf

  def fail(*_):
    raise tf.errors.UnavailableError(None, None, 'no connection\nwhen reading')

  monkeypatch.setattr(tf.io.gfile, 'exists', fail)
  monkeypatch.setattr(tf.io.gfile, 'stat', fail)
  for check in (file_systems.exists, file_systems.is_folder, file_systems.is_file):
    with pytest.raises(StorageError, match=r'ram://x cannot be used\. Got: no connection\.'):
      check('ram://x')


def test_slashes_that_object_storage_adds_to_folders_are_removed(monkeypatch):
  import tensorflow as tf

  monkeypatch.setattr(tf.io.gfile, 'listdir', lambda _: ['', 'sub/', 'sub', 'a'])
  assert file_systems.list_folder('gs://bucket/folder') == ['a', 'sub']
  monkeypatch.setattr(tf.io.gfile, 'glob', lambda _: ['gs://bucket/sub/', 'gs://bucket/a'])
  assert file_systems.glob('gs://bucket/*') == ['gs://bucket/a', 'gs://bucket/sub']


def test_local_paths_need_no_tensorflow(tmp_path):
  code = (
    'import sys; from htc_tf import file_systems, files; '
    f'files.write_bytes({str(tmp_path / "a")!r}, b"1"); '
    f'file_systems.check_local({str(tmp_path)!r}, "x"); '
    'sys.exit("tensorflow" in sys.modules)'
  )
  assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


def test_one_folder_may_be_written_in_different_ways(tmp_path, monkeypatch):
  folder = tmp_path / 'folder'
  folder.mkdir()
  (tmp_path / 'link').symlink_to(folder)
  monkeypatch.chdir(folder)
  for other in ('', '.', '../folder/', f'{tmp_path}/link', str(folder)):
    assert file_systems.same_folder(str(folder), other), other
  assert not file_systems.same_folder(str(folder), str(tmp_path))
  assert file_systems.same_folder('gs://bucket/a', 'gs://bucket/a/')
  assert not file_systems.same_folder('gs://bucket/a', 'gs://bucket/b')
  assert not file_systems.same_folder('gs://bucket/a', '')


def test_links_among_the_folders_of_a_path_are_resolved(tmp_path, monkeypatch):
  (tmp_path / 'folder').mkdir()
  (tmp_path / 'link').symlink_to('folder')
  real = os.path.realpath(tmp_path)
  expected = f'{real}/folder/ckpt-1'
  assert file_systems.in_real_folder(tmp_path / 'link' / 'ckpt-1') == expected
  monkeypatch.chdir(tmp_path / 'folder')
  assert file_systems.in_real_folder('ckpt-1') == expected
  (tmp_path / 'folder' / 'alias').symlink_to('ckpt-1')  # Its own name is kept.
  assert file_systems.in_real_folder('alias') == f'{real}/folder/alias'
  assert file_systems.in_real_folder('gs://bucket/../ckpt-1') == 'gs://bucket/../ckpt-1'
