"""Tests of parts of pages that are written by benchmarks."""

import pytest

from benchmarks import pages
from htc_tf.errors import DataError


def test_the_lines_between_the_comments_are_replaced(tmp_path):
  page = tmp_path / 'page.md'
  page.write_text('before\n<!-- table -->\nold\n<!-- end of table -->\nafter\n')
  pages.replace_part(str(page), 'table', '| new |\n')
  expected = 'before\n<!-- table -->\n\n| new |\n\n<!-- end of table -->\nafter\n'
  assert page.read_text() == expected


def test_a_page_without_the_comments_is_refused(tmp_path):
  page = tmp_path / 'page.md'
  page.write_text('before <!-- table -->')
  with pytest.raises(DataError, match=r'page\.md has no place for the table'):
    pages.replace_part(str(page), 'table', '| new |\n')
  assert page.read_text() == 'before <!-- table -->'
