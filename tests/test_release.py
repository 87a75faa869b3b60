"""Tests that the files of a release agree about the version."""

import pathlib
import re

import yaml

import htc_tf

_ROOT = pathlib.Path(__file__).parents[1]


def _text(name):
  return (_ROOT / name).read_text(encoding='utf-8')


def test_the_newest_section_of_the_changelog_is_that_of_the_version():
  assert re.findall(r'^## (\S+)', _text('CHANGELOG.md'), re.MULTILINE)[0] == htc_tf.__version__


def test_the_citation_names_the_version_and_the_paper():
  citation = yaml.safe_load(_text('CITATION.cff'))
  assert {'cff-version', 'message', 'title', 'authors'} <= set(citation)
  assert citation['version'] == htc_tf.__version__
  assert citation['license'] == re.search(r'^license = "(.*)"', _text('pyproject.toml'), re.M)[1]
  paper = citation['preferred-citation']
  assert {'type', 'title', 'authors'} <= set(paper) and '1901.07518' in paper['url']
  assert len(paper['authors']) == 12


def test_a_source_distribution_has_the_files_of_the_root():
  manifest = _text('MANIFEST.in')
  for name in ('CHANGELOG.md', 'CITATION.cff', 'CONTRIBUTING.md', 'SECURITY.md', 'layers.toml'):
    assert name in manifest and (_ROOT / name).exists()
