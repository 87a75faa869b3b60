"""Tests that the names, links, commands and files in the documents exist."""

import importlib
import os
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob('*.md'), *(ROOT / 'docs').glob('*.md')])
IDS = [path.name for path in DOCUMENTS]


def resolve(name):
  """The module, class or function of a dotted name; raises AttributeError or ImportError."""
  parts = name.split('.')
  for length in range(len(parts), 0, -1):
    try:
      value = importlib.import_module('.'.join(parts[:length]))
    except ModuleNotFoundError:
      continue
    for part in parts[length:]:
      value = getattr(value, part)
    return value
  raise ModuleNotFoundError(name)


def public_names():
  text = (ROOT / 'docs' / 'api.md').read_text(encoding='utf-8')
  return re.findall(r'^\| `(htc_tf[\w.]*)` \| \S', text, re.MULTILINE)


def test_a_wrong_name_is_found():
  assert resolve('htc_tf.errors.HTCError').__name__ == 'HTCError'
  for name in ('htc_tf.errors.Wrong', 'htc_tf.wrong.HTCError', 'wrong'):
    with pytest.raises((AttributeError, ModuleNotFoundError)):
      resolve(name)


def test_the_public_api_exists_and_is_named_once():
  names = public_names()
  assert len(names) > 40 and len(names) == len(set(names))
  for name in names:
    value = resolve(name)
    assert value.__doc__, name
    assert not any(part.startswith('_') for part in name.split('.'))


def test_every_command_is_on_the_page_of_the_public_api():
  text = (ROOT / 'docs' / 'api.md').read_text(encoding='utf-8')
  project = (ROOT / 'pyproject.toml').read_text(encoding='utf-8')
  commands = re.findall(r'^(htc-[\w-]+) =', project, re.MULTILINE)
  assert sorted(commands) == sorted(re.findall(r'^\| `(htc-[\w-]+)`', text, re.MULTILINE))


@pytest.mark.parametrize('path', DOCUMENTS, ids=IDS)
def test_links_lead_to_files(path):
  text = re.sub(r'(?s)```.*?```', '', path.read_text(encoding='utf-8'))
  for target in re.findall(r'\]\(([^)#\s]+)', text):
    if '://' not in target:
      assert (path.parent / target).exists(), target


def anchors(text):
  """The anchors of the headings of a page, as GitHub makes them."""
  found = []
  for title in re.findall(r'^#+ (.+)$', re.sub(r'(?ms)^```.*?^```', '', text), re.MULTILINE):
    plain = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', title)
    anchor = re.sub(r'[^\w\- ]', '', plain.strip().lower()).replace(' ', '-')
    number = found.count(anchor)
    found.append(f'{anchor}-{number}' if number else anchor)
  return found


def dead_anchors(path):
  """The links of a page to headings that do not exist."""
  text = re.sub(r'(?s)```.*?```', '', path.read_text(encoding='utf-8'))
  dead = []
  for target, anchor in re.findall(r'\]\(([^)#\s]*)#([^)\s]+)\)', text):
    page = path.parent / target if target else path
    if '://' not in target and anchor not in anchors(page.read_text(encoding='utf-8')):
      dead.append(f'{target}#{anchor}')
  return dead


def test_a_dead_anchor_is_found(tmp_path):
  (tmp_path / 'other.md').write_text('# A title\n\n## `htc-show`: *what*\n\n## A title\n')
  page = tmp_path / 'page.md'
  page.write_text(
    '# Page\n[a](other.md#a-title) [b](other.md#htc-show-what) [c](other.md#a-title-1) [d](#page)\n'
    '[e](other.md#missing) [f](#other)\n'
  )
  assert dead_anchors(page) == ['other.md#missing', '#other']


@pytest.mark.parametrize('path', DOCUMENTS, ids=IDS)
def test_links_lead_to_headings(path):
  assert dead_anchors(path) == []


@pytest.mark.parametrize('path', DOCUMENTS, ids=IDS)
def test_commands_and_files_exist(path):
  text = path.read_text(encoding='utf-8')
  folder = pathlib.Path(sys.executable).parent
  for command in set(re.findall(r'\bhtc-[a-z]+(?:-[a-z]+)*\b(?!-)', text)):
    assert os.access(folder / command, os.X_OK), command
  files = r'`((?:htc_tf|tests|parity|benchmarks|docs|experiments)/[\w./-]+\.\w+)`'
  for name in set(re.findall(files, text)):
    if path.name != 'CHANGELOG.md' and not re.search('NAME|FILE', name):
      assert (ROOT / name).exists(), name
  for module in set(re.findall(r'python -m ((?:htc_tf|benchmarks|parity)[\w.]*)', text)):
    if path.name != 'CHANGELOG.md':
      resolve(module.rstrip('.'))


@pytest.mark.parametrize('path', DOCUMENTS, ids=IDS)
def test_no_placeholder_is_left(path):
  assert not re.search(r'@@|TODO|FIXME|XXX', path.read_text(encoding='utf-8'))
