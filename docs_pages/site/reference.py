"""The page with the docstrings of the public API."""

import re

# The names that the package imports late, and where they are defined.
_DEFINED = {'htc_tf.load_model': 'htc_tf.serving.loading.load_model'}
_HEAD = """# Reference

The docstrings of the names on [the page of the public API](api.md), by its sections.
"""


def page(api: str) -> str:
  """The page: for each name in a table of the public API, a mark that mkdocstrings replaces.

  Args:
    api: the text of docs/api.md.
  """
  parts = [_HEAD]
  for title, body in re.findall(r'(?ms)^## (.+?)\n(.*?)(?=^## |\Z)', api):
    names = re.findall(r'^\| `(htc_tf\.[\w.]+)` \|', body, re.MULTILINE)
    if names:
      parts += [f'## {title}\n', *(f'::: {_DEFINED.get(name, name)}\n' for name in names)]
  return '\n'.join(parts)
