"""Tests that targets, modules, flags and files in the commands on the pages of docs/ exist."""

import ast
import functools
import re
import shlex
import tomllib

import pytest
from official.core import exp_factory

from htc_tf import registry_imports  # noqa: F401
from tests.docs_blocks import blocks
from tests.test_docs_commands import known_flags
from tests.test_docs_references import IDS, PAGES, ROOT

_OURS = ('benchmarks', 'docs_pages', 'htc_tf', 'parity', 'tests')
_MAKEFILE = (ROOT / 'Makefile').read_text(encoding='utf-8')
_PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text(encoding='utf-8'))
# Flags of Abseil and of Docker, which stand alone in inline code.
_OF_OTHERS = {'gpus', 'verbosity'}


def lines(text):
  """The lines of code blocks, without their prompt, and the inline code of a page."""
  joined = [code.replace('\\\n', ' ').splitlines() for _, _, code in blocks(text)]
  found = [line.removeprefix('$ ') for block in joined for line in block]
  return found + inline_code(text)


def inline_code(text):
  return re.findall(r'`([^`\n]+)`', re.sub(r'(?ms)^```.*?^```', '', text))


def words(line):
  """The words of a command; () if the line is none."""
  try:
    return shlex.split(line, comments=True)
  except ValueError:
    return ()


@functools.cache
def module_flags(module):
  """The flags that a module or package declares or shares; None without such a file."""
  base = ROOT / module.replace('.', '/')
  path = base / '__main__.py' if base.is_dir() else base.with_suffix('.py')
  if not path.exists():
    return None
  text = path.read_text()
  shared = re.findall(r'(?m)^ +(\w+?)(?:_lib)?\.add_arguments\(parser\)', text)
  of_others = (module_flags(f'benchmarks.{name}') for name in shared)
  calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
  first = (call.args[0] for call in calls if call.args and isinstance(call.args[0], ast.Constant))
  texts = (node.value for node in first if isinstance(node.value, str))
  return {text.removeprefix('--') for text in texts if text.startswith('--')}.union(
    {'help'}, *of_others
  )


def wrong_targets(line):
  """The targets and variables of a `make` command that the Makefile lacks."""
  match = re.match(r'make (?=[a-zA-Z])', line)
  wrong = []
  for word in words(line[match.end() :]) if match else ():
    name, is_variable, _ = word.partition('=')
    pattern = rf'\$\({name}\)' if is_variable else rf'(?m)^{name}:'
    wrong += [] if re.search(pattern, _MAKEFILE) else [f'make {word}']
  return wrong


def wrong_modules(line):
  """What a `python -m` command names of this repository that does not exist."""
  match = re.match(r'(?:\S*/)?python(?:3\.11)? -m ([\w.]+)', line)
  if not match:
    return []
  module, arguments = match[1], words(line[match.end() :])
  if module == 'pytest':
    return [word for word in arguments if '/' in word and not (ROOT / word).exists()]
  if module.split('.')[0] not in _OURS:
    return []
  known = module_flags(module)
  if known is None:
    return [module]
  flags = [re.match(r'--(\w*)', word)[1] for word in arguments if word.startswith('--')]
  return [f'{module} --{flag}' for flag in flags if flag not in known]


def wrong_flags(code):
  """The flags of inline code that begins with a flag which no command has."""
  every = _OF_OTHERS.union(*map(known_flags, _PROJECT['project']['scripts']))
  flags = re.findall(r'(?:^|\s)--([\w-]+)', code) if code.startswith('--') else []
  return [f'--{flag}' for flag in flags if not {flag, flag.removeprefix('no')} & every]


def wrong_values(line):
  """The experiments, their files and the extras of the package in a line that do not exist."""
  files = re.findall(r'--config_file=(experiments/[\w.]+)', line)
  names = re.findall(r'--experiment=(\w+)', line)
  extras = re.findall(r'htc_tf\[(\w+)\]', line)
  known = exp_factory._REGISTERED_CONFIGS
  return [
    *(name for name in files if 'FILE' not in name and not (ROOT / name).exists()),
    *(name for name in names if name not in known and name != 'NAME'),
    *(name for name in extras if name not in _PROJECT['project']['optional-dependencies']),
  ]


def test_wrong_commands_are_found():
  assert wrong_targets('make demos PACK=folder PICK=folder  # a note') == [
    'make demos',
    'make PICK=folder',
  ]
  assert wrong_targets('make test') == wrong_targets('makes sense') == []
  assert wrong_modules('python -m benchmarks.sices') == ['benchmarks.sices']
  line = '.venv/bin/python -m benchmarks.scenes --output=a --outputs=b'
  assert wrong_modules(line) == ['benchmarks.scenes --outputs']
  assert wrong_modules('python -m pytest -q tests/test_docs.py tests/none.py') == ['tests/none.py']
  assert wrong_modules('python -m docs_pages') == wrong_modules('python -m http.server 80') == []
  assert wrong_flags('--model=m --nomodels') == ['--nomodels']
  assert wrong_flags('docker --wrong') == []
  assert wrong_values('--experiment=htc_nano --config_file=experiments/a.yaml') == [
    'experiments/a.yaml'
  ]
  assert wrong_values("--experiment=htc_small_ 'htc_tf[sahis]'") == ['htc_small_', 'sahis']


def test_commands_of_blocks_and_of_lines_are_read():
  text = '`make a`\n\n```\n$ make b \\\n  C=1\nmake d\n```\n'
  assert lines(text) == ['make b    C=1', 'make d', 'make a']


def test_pages_have_commands():
  found = [line for path in PAGES for line in lines(path.read_text(encoding='utf-8'))]
  assert len([line for line in found if line.startswith('make ')]) > 30
  assert len([line for line in found if 'python -m benchmarks.' in line]) > 10
  assert len([line for line in found if '--experiment=' in line]) > 30


@pytest.mark.parametrize('path', PAGES, ids=IDS)
def test_targets_modules_and_values_exist(path):
  found = lines(path.read_text(encoding='utf-8'))
  assert [wrong for line in found for wrong in wrong_targets(line)] == []
  assert [wrong for line in found for wrong in wrong_modules(line)] == []
  assert [wrong for line in found for wrong in wrong_values(line)] == []


# These pages have the flags of other programs too.
_OWN_FLAGS = [path for path in PAGES if not path.name.startswith('from_')]


@pytest.mark.parametrize('path', _OWN_FLAGS, ids=[path.name for path in _OWN_FLAGS])
def test_flags_without_a_command_exist(path):
  codes = inline_code(path.read_text(encoding='utf-8'))
  assert [wrong for code in codes for wrong in wrong_flags(code)] == []


def test_the_commands_of_the_makefile_exist():
  recipes = _MAKEFILE.replace('\\\n', ' ')
  found = re.findall(r'-m ((?:benchmarks|docs_pages|parity|tests)[\w.]*)([^\n]*)', recipes)
  assert len(found) > 8
  for module, rest in found:
    flags = re.findall(r'--(\w+)', rest)
    assert module_flags(module) is not None, module
    assert set(flags) <= module_flags(module), module


def test_every_target_is_declared_and_explained():
  targets = set(re.findall(r'(?m)^([a-z-]+):', _MAKEFILE))
  (declared,) = re.findall(r'(?s)\.PHONY: (.*?)\n\n', _MAKEFILE)
  assert set(declared.replace('\\\n', ' ').split()) == targets
  head = _MAKEFILE.split('\n\n')[0]
  assert [name for name in sorted(targets) if not re.search(rf'make {name}\b', head)] == []
