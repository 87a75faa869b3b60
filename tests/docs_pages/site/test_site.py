"""Tests of the built site; they are skipped where `make site` has not made its environment."""

import os
import pathlib
import subprocess

import pytest

from docs_pages.site import links
from tests.reports import browser
from tests.test_docs import public_names

_ROOT = pathlib.Path(__file__).parents[3]
_PYTHON = _ROOT / 'build' / 'site_environment' / 'bin' / 'python'
pytestmark = [
  pytest.mark.slow,
  pytest.mark.skipif(not _PYTHON.exists(), reason='`make site` creates the environment'),
]


def build(target, *flags):
  """Build the site into a folder; returns the finished process."""
  return subprocess.run(
    [_PYTHON, '-m', 'mkdocs', 'build', '--site-dir', target, *flags],
    cwd=_ROOT,
    env={**os.environ, 'NO_MKDOCS_2_WARNING': '1'},
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.fixture(name='site', scope='module')
def _site(tmp_path_factory):
  target = tmp_path_factory.mktemp('site')
  done = build(target)
  assert done.returncode == 0, done.stderr
  assert 'WARNING' not in done.stderr
  return target


def test_every_link_leads_somewhere(site):
  assert len(list(site.rglob('*.html'))) > 100
  assert links.faults(site) == []


def test_a_line_does_not_break_behind_the_hyphens_of_a_flag(site):
  text = (site / 'MODEL_ZOO.html').read_text(encoding='utf-8')
  assert '<code><span class="flag">--e</span>xperiment=htc_resnet50fpn_1x_coco</code>' in text


def test_every_public_name_has_its_docstring(site):
  text = (site / 'docs' / 'reference.html').read_text(encoding='utf-8')
  missing = [name for name in public_names() if f'id="{name}"' not in text]
  assert missing == ['htc_tf.load_model']  # It has the anchor of its definition.
  assert 'id="htc_tf.serving.loading.load_model"' in text
  assert (
    'href="reference.html#htc_tf.errors.ConfigError"' in (site / 'docs' / 'api.html').read_text()
  )


def test_the_paper_leads_to_lines(site):
  text = (site / 'docs' / 'paper_to_code.html').read_text(encoding='utf-8')
  lines = (_ROOT / 'htc_tf' / 'modeling' / 'cascade.py').read_text(encoding='utf-8').splitlines()
  (line,) = (number for number, code in enumerate(lines, 1) if code.startswith('  def train('))
  assert f'source/htc_tf/modeling/cascade.py.html#__codelineno-0-{line}"' in text


@pytest.mark.browser
@pytest.mark.skipif(browser.PATH is None, reason='there is no Chromium on PATH')
def test_the_search_finds_pages_without_a_server(site, tmp_path):
  page = f'{site}/index.html?q=interleaved'
  dom = browser.browse(page, tmp_path, '--virtual-time-budget=8000', '--dump-dom')
  assert 'matching documents' in dom and 'href="docs/paper_to_code.html' in dom
