"""Progress of long work: a bar on a terminal, and now and then a line in a log."""

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import Any, TextIO, TypeVar

import tqdm

_Item = TypeVar('_Item')
_LOG_SECONDS = 30.0
_LINE = '{desc}: {n_fmt} of {total_fmt} ({percentage:.0f} %), {rate_fmt}, {remaining} left{postfix}'
_LINE_WITHOUT_TOTAL = '{desc}: {n_fmt}, {rate_fmt}, {elapsed} so far{postfix}'


class _Lines:
  """A text file that gets whole lines where a bar would overwrite one."""

  def __init__(self, file: TextIO):
    self._file = file

  def write(self, text: str) -> None:
    """Write a text of a bar as a line; texts that only move the cursor are left out."""
    line = text.strip()
    if line:
      self._file.write(f'{line}\n')

  def flush(self) -> None:
    """Pass the lines on."""
    self._file.flush()


def bar(
  *,
  description: str,
  unit: str,
  total: int | None,
  done: int = 0,
  leave: bool = True,
  position: int = 0,
) -> 'tqdm.tqdm[Any]':
  """A bar on standard error, or a line every 30 seconds where that is no terminal.

  Its `update` counts units. Work that ends before the first line is due writes nothing to a log.

  Args:
    description: what is being done.
    unit: what is counted, in the singular.
    total: number of units; None if it is not known.
    done: number of units that were done before.
    leave: whether the finished bar stays on the terminal.
    position: line of the bar below others that are shown at the same time.
  """
  output = sys.stderr
  options: dict[str, Any] = {'file': output}
  if not output.isatty():
    options = {
      'file': _Lines(output),
      'mininterval': _LOG_SECONDS,
      'maxinterval': 2 * _LOG_SECONDS,
      'miniters': 1,
      'delay': _LOG_SECONDS,
      'bar_format': _LINE_WITHOUT_TOTAL if total is None else _LINE,
    }
  return tqdm.tqdm(
    desc=description,
    unit=unit,
    total=total,
    initial=done,
    leave=leave,
    position=position,
    **options,
  )


def track(
  items: Iterable[_Item],
  *,
  description: str,
  unit: str,
  total: int | None = None,
  leave: bool = True,
) -> Iterator[_Item]:
  """Items, with a `bar` that counts those that have been used.

  Args:
    items: what to iterate over.
    description: what is being done.
    unit: what an item is, in the singular.
    total: number of items; None for the length of `items`, if it has one.
    leave: whether the finished bar stays on the terminal.
  """
  if total is None and isinstance(items, Sized):
    total = len(items)
  with bar(description=description, unit=unit, total=total, leave=leave) as shown:
    for item in items:
      yield item
      shown.update()
