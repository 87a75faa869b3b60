"""What a training shows: messages without the prefix of a log, and a progress bar on a terminal."""

import logging
import os
import sys
from types import TracebackType

import absl.logging
import tensorflow as tf
import tqdm

_PACKAGE = __file__.removesuffix(os.path.join('training', 'console.py'))
_LEVELS = {logging.WARNING: 'warning: ', logging.ERROR: 'error: ', logging.CRITICAL: 'error: '}
# Escape sequence of terminals: to the start of the line, and erase it.
_ERASE_LINE = '\r\x1b[K'


class Bar:
  """A progress bar over the steps of a training; it shows nothing if there is no terminal.

  Args:
    num_steps: number of steps of the training.
    step: number of steps at the start.
    shows: whether to show it; None if standard error is a terminal.
  """

  is_shown = False

  def __init__(self, num_steps: int, step: int, shows: bool | None = None):
    shows = sys.stderr.isatty() if shows is None else shows
    self._bar = tqdm.tqdm(
      total=num_steps,
      initial=step,
      unit='step',
      leave=False,
      disable=not shows,
      dynamic_ncols=True,
      mininterval=0.5,
      file=sys.stderr,
    )

  def __enter__(self) -> 'Bar':
    Bar.is_shown = not self._bar.disable
    return self

  def __exit__(
    self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
  ) -> None:
    self._bar.close()
    Bar.is_shown = False

  def advance(self, number: int) -> None:
    """Count steps.

    Args:
      number: number of steps since the last call.
    """
    self._bar.update(number)


class _Formatter(logging.Formatter):
  """Messages as they are; warnings and errors are named as such."""

  def format(self, record: logging.LogRecord) -> str:
    """The text of a message; a progress bar in its place is erased."""
    text = _LEVELS.get(record.levelno, '') + super().format(record)
    return f'{_ERASE_LINE}{text}' if Bar.is_shown else text


def _is_shown(record: logging.LogRecord) -> bool:
  """Whether a message is a warning or an error, or of this package."""
  return record.levelno > logging.INFO or record.pathname.startswith(_PACKAGE)


def set_up() -> None:
  """Show the messages of this package, and warnings and errors of all others, once each.

  With `--verbosity=1` or more, everything is shown as absl formats it.
  """
  # TensorFlow's logger has a handler of its own beside that of absl.
  tf.get_logger().handlers.clear()
  if absl.logging.get_verbosity() > absl.logging.INFO:
    return
  handler = absl.logging.get_absl_handler().python_handler
  handler.setFormatter(_Formatter())
  handler.addFilter(_is_shown)


def show_only_warnings() -> None:
  """Show no more messages below warnings, unless `--verbosity` asks for all messages."""
  if absl.logging.get_verbosity() <= absl.logging.INFO:
    absl.logging.get_absl_handler().python_handler.setLevel(logging.WARNING)
