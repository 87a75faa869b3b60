"""Tests that the files of a release agree about the version."""

import fnmatch
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
  lines = manifest.splitlines()
  assert {line.split()[0] for line in lines} <= {'graft', 'include', 'global-exclude'}
  included = [name for line in lines if line.startswith('include ') for name in line.split()[1:]]
  # The build adds LICENSE, README.md, pyproject.toml and setup.py by itself.
  roots = (
    'CHANGELOG.md CITATION.cff CONTRIBUTING.md MODEL_ZOO.md SECURITY.md Makefile layers.toml '
    'mkdocs.yml requirements.txt requirements-audit.txt requirements-connectors.txt '
    'requirements-runtimes.txt requirements-site.txt train.py'
  )
  for name in roots.split():
    assert (_ROOT / name).exists()
    assert any(fnmatch.fnmatch(name, pattern) for pattern in included), name
