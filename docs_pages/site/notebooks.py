"""Notebooks as pages of the site: text, code and the stored outputs."""

import base64
import json
import re
from typing import Any

_FENCE = '~~~~~~'
_PICTURES = {'image/png': 'png', 'image/jpeg': 'jpg'}
_COLORS = re.compile(r'\x1b\[[\d;]*m')


def page(text: str, stem: str) -> tuple[str, dict[str, bytes]]:
  """The Markdown of a notebook, and the pictures in its outputs by their file names.

  Args:
    text: the notebook, in the JSON of nbformat 4.
    stem: its name without suffix, with which the names of its pictures begin.
  """
  parts: list[str] = []
  pictures: dict[str, bytes] = {}
  for cell in json.loads(text)['cells']:
    source = _text(cell['source'])
    if cell['cell_type'] == 'markdown':
      parts.append(source)
    elif cell['cell_type'] == 'code' and source.strip():
      parts.append(f'{_FENCE} python\n{source}\n{_FENCE}')
      for output in cell['outputs']:
        parts.append(_output(output, f'{stem}_{len(pictures)}', pictures))
  return '\n\n'.join(parts) + '\n', pictures


def _output(output: dict[str, Any], stem: str, pictures: dict[str, bytes]) -> str:
  data = output.get('data', {})
  for kind, suffix in _PICTURES.items():
    if kind in data:
      name = f'{stem}.{suffix}'
      pictures[name] = base64.b64decode(_text(data[kind]))
      return f'![Output of the code above]({name})'
  if 'text/html' in data:
    # Without its own style, a table of pandas has that of the site.
    html = re.sub(r'(?s)<style.*?</style>', '', _text(data['text/html']))
    return re.sub(r'<table[^>]*>', '<table>', html)
  lines = output.get('text') or data.get('text/plain') or '\n'.join(output.get('traceback', []))
  return f'{_FENCE} text\n{_COLORS.sub("", _text(lines)).rstrip()}\n{_FENCE}'


def _text(value: str | list[str]) -> str:
  return value if isinstance(value, str) else ''.join(value)


def linked(markdown: str) -> str:
  """A page whose links to notebooks lead to their pages."""
  return re.sub(r'(\]\((?:[\w./-]+/)?[\w-]+)\.ipynb(#[\w-]+)?\)', r'\1.md\2)', markdown)
