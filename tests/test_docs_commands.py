"""Tests that the commands on the pages of docs/ have only flags that exist."""

import functools
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from tests.test_docs_references import IDS, PAGES, ROOT

_COMMAND = re.compile(r'(?:^|\s)(htc-[a-z]+(?:-[a-z]+)*|(?:python )?train\.py)(?=\s|$)')


@functools.cache
def known_flags(command):
  """The flags in the `--help` of a command."""
  folder = pathlib.Path(sys.executable).parent
  name = 'htc-train' if command.endswith('train.py') else command
  answer = subprocess.run(
    [str(folder / name), '--help'], cwd=ROOT, capture_output=True, text=True, check=False
  )
  return frozenset(re.findall(r'--(?:\[no\])?([a-z_]+)', answer.stdout)) | _PROJECT_FLAGS


# A flag of Model Garden that --help leaves out.
_PROJECT_FLAGS = frozenset({'enable_async_checkpointing'})


def commands(text):
  """The commands in the code blocks and in the inline code of a page, each as its words."""
  blocks = re.findall(r'(?s)^```[a-z]*\n(.*?)^```', text, re.MULTILINE)
  lines = [line for block in blocks for line in block.replace('\\\n', ' ').splitlines()]
  lines += re.findall(r'`([^`\n]+)`', re.sub(r'(?s)^```.*?^```', '', text, flags=re.MULTILINE))
  for line in lines:
    for part in line.replace('\\|', '|').split(' | '):
      found = _COMMAND.search(part)
      if found and '"' not in part[: found.start()]:
        try:
          yield found.group(1), shlex.split(part[found.end() :], comments=True)
        except ValueError:
          continue  # An output with an apostrophe.


def unknown_flags(text):
  """The flags in the commands of a page that the commands do not have."""
  unknown = []
  for command, words in commands(text):
    flags = {re.match(r'--[a-z_]*', word).group(0) for word in words if word.startswith('--')}
    for flag in sorted(flags):
      name = flag.removeprefix('--')
      if not {name, name.removeprefix('no')} & known_flags(command):
        unknown.append(f'{command} {flag}')
  return unknown


def test_a_wrong_flag_is_found():
  text = '`htc-show data --samples=3 --wrong=1`\n\n```\nhtc-lower --model=m \\\n  --hight=4\n```\n'
  assert unknown_flags(text) == ['htc-lower --hight', 'htc-show --wrong']


@pytest.mark.parametrize('path', PAGES, ids=IDS)
def test_the_flags_of_commands_exist(path):
  assert not unknown_flags(path.read_text(encoding='utf-8'))


def test_pages_have_commands():
  numbers = {path.name: len(list(commands(path.read_text(encoding='utf-8')))) for path in PAGES}
  assert numbers['from_mmdetection.md'] > 15 and numbers['from_detectron2.md'] > 10
  assert numbers['README.md'] > 5
