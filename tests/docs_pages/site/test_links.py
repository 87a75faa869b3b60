"""Tests of the check of a built site."""

import sys

import pytest

from docs_pages.site import links

_OTHER = '<h1 id="title"></h1><a name="line-3"></a><script src="code.js"></script>'


@pytest.fixture(name='site')
def _site(tmp_path):
  (tmp_path / 'docs').mkdir()
  (tmp_path / 'docs' / 'other.html').write_text(_OTHER)
  (tmp_path / 'docs' / 'code.js').write_text('')
  return tmp_path


@pytest.mark.parametrize(
  'target',
  [
    'docs/other.html',
    'docs/other.html#title',
    'docs/other.html#line-3',
    'docs/code.js',
    '#here',
    '#',
    'https://example.com/a',
  ],
)
def test_a_link_that_leads_somewhere(site, target):
  (site / 'index.html').write_text(f'<p id="here"><a href="{target}">a</a></p>')
  assert links.faults(site) == []


@pytest.mark.parametrize('target', ['other.html', 'docs/other.html#end', '#there', 'docs', 'a.png'])
def test_a_link_that_leads_nowhere(site, target):
  (site / 'index.html').write_text(f'<p id="here"><a href="{target}">a</a></p>')
  assert links.faults(site) == [f'index.html: {target} leads nowhere']


@pytest.mark.parametrize(
  'tag',
  [
    '<link href="https://fonts.example.com/a.css">',
    '<script src="//example.com/a.js"></script>',
    '<img src="http://example.com/a.png">',
  ],
)
def test_a_file_of_another_host(site, tag):
  (site / 'index.html').write_text(tag)
  (fault,) = links.faults(site)
  assert fault.startswith('index.html: loads ') and fault.endswith(' from another host')


def test_a_picture_that_is_missing(site):
  (site / 'index.html').write_text('<img src="a.png"><img src="docs/code.js">')
  assert links.faults(site) == ['index.html: a.png leads nowhere']


def test_the_command_fails_on_a_fault(site, monkeypatch, capsys):
  monkeypatch.setattr(sys, 'argv', ['links', str(site)])
  with pytest.raises(SystemExit):
    links.main()
  (site / 'index.html').write_text('<a href="docs/other.html">a</a>')
  assert links.main() == 0
  (site / 'index.html').write_text('<a href="a.html">a</a>')
  assert links.main() == 1
  assert capsys.readouterr().out.endswith('index.html: a.html leads nowhere\n')
