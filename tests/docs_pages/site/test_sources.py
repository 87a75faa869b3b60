"""Tests of the pages with source files, and of the links to their lines."""

import pytest

from docs_pages.site import sources

_CODE = """LIMIT = 1
count: int = 2


class Box:
  sides = 4

  @property
  def area(self):
    return 1


def area():
  inner = 1
"""


@pytest.fixture(name='root')
def _root(tmp_path):
  (tmp_path / 'shapes').mkdir()
  (tmp_path / 'shapes' / 'box.py').write_text(_CODE)
  (tmp_path / 'shapes' / 'box.png').write_bytes(b'')
  return tmp_path


def test_the_lines_are_those_of_the_definitions(root):
  assert sources.lines(root / 'shapes' / 'box.py') == {
    'LIMIT': 1,
    'count': 2,
    'Box': 5,
    'Box.sides': 6,
    'Box.area': 9,
    'area': 13,
  }
  assert sources.lines(root / 'other.yaml') == {}


def test_files_that_exist_and_have_code_are_named(root):
  text = '`shapes/box.py` `shapes/box.png` `shapes/other.py` `../shapes/box.py` shapes/box.py'
  assert sources.named_files(root, text) == {'shapes/box.py'}


def test_a_page_shows_the_whole_file(root):
  page = sources.page(root, 'shapes/box.py')
  assert '# shapes/box.py\n' in page and 'exclude: true' in page
  assert f'{{.python linenums="1"}}\n{_CODE}~~~~~~\n' in page


def test_files_and_names_lead_to_pages_and_lines(root):
  def address(path):
    return 's.html' if path == 'shapes/box.py' else None

  html = '<code>shapes/box.py</code>: <code>Box.area</code>, <code>new</code>; <code>Box</code>'
  assert sources.linked(html, root, address) == (
    '<a href="s.html"><code>shapes/box.py</code></a>: '
    '<a href="s.html#__codelineno-0-9"><code>Box.area</code></a>, '
    '<a href="s.html"><code>new</code></a>; <code>Box</code>'
  )
  html = '<code>shapes/circle.py</code>: <code>Box</code>'
  assert sources.linked(html, root, address) == html
