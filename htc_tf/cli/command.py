"""The shared part of all commands: parsing of flags, error messages and exit status."""

import argparse
import os
import sys
from collections.abc import Callable

from htc_tf.errors import HTCError, stated_message

PARTIAL = 1  # Some inputs could not be used.
STOPPED = 1  # An HTCError stopped a running graph.
USAGE_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells report it.


def print_error(message: str) -> None:
  """Print an error message to standard error."""
  print(f'error: {message}', file=sys.stderr)


def guarded(
  execute: Callable[[], int],
  report: Callable[[str], None] = print_error,
  interrupted: str = 'interrupted',
) -> int:
  """Run a command, report its errors and return its exit status.

  Args:
    execute: function that runs the command and returns its exit status.
    report: function that shows an error message.
    interrupted: message after Ctrl-C, unless the exception has one.

  Returns:
    The result of `execute`; 2 for wrong input or a file that cannot be used, 1 if an HTCError
    stopped a running graph, 130 after Ctrl-C.

  Raises:
    Exception: `execute` raised an error that is neither an HTCError nor an OSError.
  """
  try:
    return execute()
  except (HTCError, OSError) as error:
    report(str(error))
    return USAGE_ERROR
  except KeyboardInterrupt as interruption:
    print(str(interruption) or interrupted, file=sys.stderr)
    return INTERRUPTED
  except Exception as error:
    message = stated_message(error)
    if message is None:
      raise
    report(message)
    return STOPPED


def run(
  parser: argparse.ArgumentParser,
  execute: Callable[[argparse.Namespace], int],
  argv: list[str] | None = None,
  interrupted: str = 'interrupted',
) -> int:
  """Parse flags, run a command and return its exit status; see `guarded`.

  Args:
    parser: parser of the flags; it ends the process after wrong flags and after `--help`.
    execute: function that runs the command with the parsed flags. Slow imports belong there, so
      that `--help` answers at once.
    argv: flags; None for the flags of the process.
    interrupted: message after Ctrl-C.
  """
  args = parser.parse_args(argv)
  # TensorFlow reads this when it is imported; otherwise it logs warnings about the machine.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  return guarded(lambda: execute(args), interrupted=interrupted)
