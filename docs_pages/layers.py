"""The table of packages by layer in docs/architecture.md, from layers.toml."""

import pathlib
import re
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[1]
_MARKS = ('<!-- layers: written by python -m docs_pages -->\n', '<!-- end of layers -->')
_LINE = re.compile(r'^  "([\w |]+)", +# (.*)$|^  "([\w |]+)",$', re.MULTILINE)


class Layer(NamedTuple):
  """A layer of layers.toml.

  Attributes:
    packages: its packages and modules, which do not import each other.
    content: the comment beside it.
  """

  packages: list[str]
  content: str


def layers() -> list[Layer]:
  """The layers of the package htc_tf, from the top one down."""
  text = (ROOT / 'layers.toml').read_text(encoding='utf-8')
  block = text.partition('layers = [\n')[2].partition('\n]')[0]
  return [
    Layer((named or bare).split(' | '), content) for named, content, bare in _LINE.findall(block)
  ]


def page() -> str:
  """The text of docs/architecture.md with the table as layers.toml has it."""
  text = (ROOT / 'docs' / 'architecture.md').read_text(encoding='utf-8')
  before, _, rest = text.partition(_MARKS[0])
  return f'{before}{_MARKS[0]}\n{_table()}\n{_MARKS[1]}{rest.partition(_MARKS[1])[2]}'


def _table() -> str:
  rows = ['| layer | packages | content |', '|---|---|---|']
  found = layers()
  for index, layer in enumerate(found):
    names = ', '.join(f'`{name}`' for name in layer.packages)
    content = layer.content.replace(' | ', '; ')
    rows.append(f'| {len(found) - index} | {names} | {content} |')
  return '\n'.join(rows) + '\n'
