"""The page with the docstrings of the public API, and links to it."""

import re

PAGE = 'docs/reference.md'
# The names that the package imports late, and where they are defined.
_DEFINED = {'htc_tf.load_model': 'htc_tf.serving.loading.load_model'}
_HEAD = """# Reference

The docstrings of the names on [the page of the public API](api.md), by its sections.
"""


def names(api: str) -> list[str]:
  """The names in the tables of docs/api.md."""
  return re.findall(r'^\| `(htc_tf\.[\w.]+)` \|', api, re.MULTILINE)


def page(api: str) -> str:
  """The page: for each name of the public API, a mark that mkdocstrings replaces.

  Args:
    api: the text of docs/api.md.
  """
  parts = [_HEAD]
  for title, body in re.findall(r'(?ms)^## (.+?)\n(.*?)(?=^## |\Z)', api):
    if names(body):
      parts += [f'## {title}\n', *map(_mark, names(body))]
  return '\n'.join(parts)


def _mark(name: str) -> str:
  defined = _DEFINED.get(name, name)
  options = f'    options:\n      heading: {name}\n      toc_label: {name}\n'
  return f'::: {defined}\n{"" if defined == name else options}'


def linked(html: str, known: list[str], address: str) -> str:
  """A rendered page with links from names of the public API to their docstrings.

  Args:
    html: the rendered page.
    known: the names of the public API.
    address: the address of the page with the docstrings.
  """

  def link(match: re.Match[str]) -> str:
    if match[1] not in known:
      return match[0]
    return f'<a href="{address}#{_DEFINED.get(match[1], match[1])}">{match[0]}</a>'

  return re.sub(r'<code>(htc_tf\.[\w.]+)</code>', link, html)
