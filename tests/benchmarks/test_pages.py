"""Tests of tables, and of parts of pages that are written by benchmarks."""

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


def test_a_table_has_a_line_for_each_row():
  assert pages.table(['a', 'b'], [['1', '2']]) == '| a | b |\n| --- | --- |\n| 1 | 2 |\n'


@pytest.mark.parametrize(
  'values, text',
  [([0.4, 0.43, 0.415], '41.5 (3.0)'), ([0.4, None], '40.0'), ([None], '-'), ([], '-')],
)
def test_mean_and_spread_are_in_percent(values, text):
  assert pages.mean_and_spread(values) == text


@pytest.mark.parametrize('has_page', [False, True])
def test_a_report_is_written_with_its_figure_and_into_its_page(tmp_path, has_page):
  report = pages.Report('speed', 'table of speed', 'pictures/speeds.png', 'Speeds')
  page = tmp_path / 'docs' / 'page.md'
  (page.parent / 'pictures').mkdir(parents=True)
  page.write_text('<!-- table of speed -->\nold\n<!-- end of table of speed -->')
  drawn = []
  report.write(str(tmp_path), 'new\n', drawn.append, str(page) if has_page else '')
  assert (tmp_path / 'speed.md').read_text() == 'new\n'
  of_page = [str(page.parent / 'pictures' / 'speeds.png')] if has_page else []
  assert drawn == [str(tmp_path / 'speed.png'), *of_page]
  assert ('new\n\n![Speeds](pictures/speeds.png)' in page.read_text()) == has_page
