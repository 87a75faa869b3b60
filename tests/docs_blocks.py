"""The code blocks on the pages of the docs, and their marks.

A comment before a block says which test runs it (`run by` for Python blocks that a test executes
as they are, `tested by` for commands like those of a test), or why none does (`not run`).
"""

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]
_BLOCK = re.compile(r'(?ms)^(?:<!-- (?P<mark>[^>]*?) -->\n)?^```(?P<kind>\w*)\n(?P<code>.*?)^```')


def blocks(text):
  """The code blocks of a page: kind, mark and code."""
  return [(m['kind'], m['mark'] or '', m['code']) for m in _BLOCK.finditer(text)]


def wrong_marks(text):
  """The marks of blocks that say neither which test runs them nor why none does."""
  wrong = []
  for kind, mark, _ in blocks(text):
    match = re.match(r'(tested by|run by|not run:) (.+)', mark)
    named = re.findall(r'tests/[\w/]+\.py', mark)
    is_wrong = match is None or any(not (ROOT / name).exists() for name in named)
    if match and match[1] != 'not run:':
      is_wrong |= match[2] not in named
    if match and match[1] == 'run by':
      is_wrong |= kind != 'python'
    wrong += [mark] if is_wrong else []
  return wrong


def examples(page, test):
  """The Python blocks of a page that a test runs.

  Args:
    page: the page, such as `docs/serving.md`.
    test: path of the module of the test.
  """
  text = (ROOT / page).read_text(encoding='utf-8')
  mark = f'run by {pathlib.Path(test).relative_to(ROOT)}'
  return [code for kind, found, code in blocks(text) if kind == 'python' and found == mark]


def run(code, **names):
  """Run a block with names that it does not define; returns all its names."""
  exec(compile(code, 'a block of the docs', 'exec'), names)
  return names
