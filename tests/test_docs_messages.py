"""Tests that the messages on the page about troubleshooting are those of the code."""

import ast
import functools
import pathlib
import re

_ROOT = pathlib.Path(__file__).parents[1]
_PAGE = _ROOT / 'docs' / 'troubleshooting.md'


@functools.cache
def code_texts():
  """Every text in the package; a value in an f-string is a single NUL."""
  texts = []
  for path in (_ROOT / 'htc_tf').rglob('*.py'):
    tree = ast.parse(path.read_text(encoding='utf-8'))
    parts = {
      id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
    }
    for node in ast.walk(tree):
      if isinstance(node, ast.JoinedStr):
        values = [part.value if isinstance(part, ast.Constant) else '\0' for part in node.values]
        texts.append(''.join(values))
      elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
        texts.append(node.value)
  return texts


def is_in_code(message):
  """Whether a message, in which `...` stands for values, is a text of the package."""
  pattern = re.escape(message).replace(re.escape('...'), '.*')
  compiled = re.compile(pattern, re.DOTALL)
  return any(compiled.match(text) for text in code_texts())


def messages():
  """The messages in the first column of the page."""
  return re.findall(r'^\| `([^`]+)` \|', _PAGE.read_text(encoding='utf-8'), re.MULTILINE)


def test_a_wrong_message_is_found():
  assert is_in_code('The experiment is unknown')
  assert is_in_code('... holds a run of another configuration')
  assert not is_in_code('The experiment is not known')
  assert not is_in_code('... holds a walk of another configuration')


def test_the_messages_on_the_page_are_those_of_the_code():
  assert len(messages()) > 30
  assert [message for message in messages() if not is_in_code(message)] == []
