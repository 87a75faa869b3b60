"""Parts of pages in Markdown that are written by benchmarks."""

import os

from htc_tf import files
from htc_tf.errors import DataError


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
