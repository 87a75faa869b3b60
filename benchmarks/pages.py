"""Tables in Markdown, and the parts of pages that are written by benchmarks."""

import os
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

from htc_tf import files
from htc_tf.errors import DataError


class Report(NamedTuple):
  """The files of the results of a benchmark, and their place in a page of the docs.

  Attributes:
    name: name of both files in the output folder, without suffix.
    part: name of the part of the page; see `replace_part`.
    picture: path of the figure from the folder of the page.
    caption: text in the place of the figure where it is not shown.
  """

  name: str
  part: str
  picture: str
  caption: str

  def write(self, folder: str, text: str, draw: Callable[[str], None], page: str = '') -> None:
    """Write text and figure, and replace them in a page.

    Args:
      folder: output folder.
      text: the results in Markdown.
      draw: function that draws the figure into a file.
      page: the page; '' for none.
    """
    files.write_bytes(os.path.join(folder, f'{self.name}.md'), text.encode())
    draw(os.path.join(folder, f'{self.name}.png'))
    if page:
      draw(os.path.join(os.path.dirname(page), self.picture))
      replace_part(page, self.part, f'{text}\n![{self.caption}]({self.picture})\n')


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  """A table in Markdown.

  Args:
    head: the titles of its columns.
    rows: the texts of each row.
  """
  lines = [head, ['---'] * len(head), *rows]
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines) + '\n'


def mean_and_spread(values: Sequence[float | None]) -> str:
  """Mean and spread (largest less smallest) of shares in percent, such as '41.2 (1.3)'.

  Args:
    values: shares from 0 to 1; None for one that is unknown.

  Returns:
    The text; without a spread if there is one value, '-' without any.
  """
  known = [100 * value for value in values if value is not None]
  if not known:
    return '-'
  spread = f' ({max(known) - min(known):.1f})' if len(known) > 1 else ''
  return f'{statistics.mean(known):.1f}{spread}'


def replace_part(path: str, name: str, text: str) -> None:
  """Replace the lines between the comments `<!-- NAME -->` and `<!-- end of NAME -->` of a page.

  Args:
    path: page in Markdown.
    name: name of the part.
    text: new lines between the comments.

  Raises:
    DataError: the page does not have the comments.
  """
  begin, end = f'<!-- {name} -->', f'<!-- end of {name} -->'
  with open(path, encoding='utf-8') as file:
    page = file.read()
  before, found_begin, rest = page.partition(begin)
  _, found_end, after = rest.partition(end)
  if not (found_begin and found_end):
    raise DataError(
      f'{os.path.basename(path)} has no place for the {name}',
      expected=f'the comments {begin} and {end}',
      got='a page without one of them',
    )
  files.write_bytes(path, f'{before}{begin}\n\n{text}\n{end}{after}'.encode())
