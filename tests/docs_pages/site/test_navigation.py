"""Tests that the navigation of the site holds every page of the docs."""

import pathlib

import yaml

from docs_pages.site import notebooks

_ROOT = pathlib.Path(__file__).parents[3]


def pages(entries):
  """The pages in a part of the navigation, in its order."""
  found = []
  for entry in entries:
    (value,) = entry.values()
    found += pages(value) if isinstance(value, list) else [value]
  return found


def navigation():
  config = yaml.safe_load((_ROOT / 'mkdocs.yml').read_text(encoding='utf-8'))
  return pages(config['nav'])


def test_every_page_is_in_the_navigation_once():
  patterns = ('*.md', 'docs/*.md', 'notebooks/*.ipynb')
  found = [path for pattern in patterns for path in _ROOT.glob(pattern)]
  # A notebook becomes a page with its name.
  written = {path.relative_to(_ROOT).with_suffix('.md').as_posix() for path in found}
  assert len(navigation()) == len(set(navigation()))
  # The page of the reference is made from the docstrings.
  assert set(navigation()) == written | {'docs/reference.md'}
  assert not (_ROOT / 'docs' / 'reference.md').exists()


def test_the_home_page_leads_to_every_other_page():
  readme = (_ROOT / 'README.md').read_text(encoding='utf-8')
  assert navigation()[0] == 'README.md'
  linked = notebooks.linked(readme)
  missing = [page for page in navigation()[1:] if f']({page}' not in linked]
  assert missing == ['docs/reference.md']
