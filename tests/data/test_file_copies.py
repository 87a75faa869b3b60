"""Tests of the search for copies of files."""

from htc_tf.data import file_copies


def test_copies_are_those_of_the_first_file_with_the_same_content(tmp_path):
  contents = {'a': b'leaf', 'b': b'tree', 'c': b'leaf', 'd': b'leaf', 'e': b'tree', 'f': b'a leaf'}
  for name, content in contents.items():
    (tmp_path / name).write_bytes(content)
  paths = {name: str(tmp_path / name) for name in [*contents, 'missing']}
  assert file_copies.find(paths) == {'c': 'a', 'd': 'a', 'e': 'b'}


def test_entries_of_one_file_under_two_names_are_copies(tmp_path):
  (tmp_path / 'a').write_bytes(b'leaf')
  assert file_copies.find({'a': f'{tmp_path}/a', './a': f'{tmp_path}/./a'}) == {'./a': 'a'}
