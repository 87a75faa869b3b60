"""The shared part of all commands: parsing of flags, error messages and exit status."""

import argparse
import io
import os
import sys
from collections.abc import Callable

from htc_tf import file_errors, interruption, memory_errors, next_command
from htc_tf.errors import HTCError, stated_message

PARTIAL = 1  # Some inputs could not be used.
STOPPED = 1  # An HTCError stopped a running graph.
USAGE_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells report it.
# Files of the drivers of NVIDIA and AMD, and of WSL.
_GPU_DEVICES = ('/dev/nvidiactl', '/dev/kfd', '/dev/dxg')
NOTHING_WRITTEN = 'interrupted; nothing was written: start the same command again'


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
    interrupted: message after Ctrl-C, unless the KeyboardInterrupt has its own.

  Returns:
    The result of `execute`; 2 for wrong input, a file that cannot be used or memory that is not
    there, 1 if an HTCError stopped a running graph, 130 after Ctrl-C, 143 after SIGTERM.

  Raises:
    Exception: `execute` raised another error.
  """
  try:
    return execute()
  except KeyboardInterrupt as interruption_error:
    interruption.report(str(interruption_error) or interrupted)
    return interruption.status() or INTERRUPTED
  except Exception as error:
    status = interruption.status()
    if status is not None:  # Libraries turn a KeyboardInterrupt into other errors.
      interruption.report(interrupted)
      return status
    return _report(error, report)


def _report(error: Exception, report: Callable[[str], None]) -> int:
  """Report an error and return the exit status; raise it again if its message says too little."""
  if isinstance(error, HTCError):
    report(str(error))
    return USAGE_ERROR
  message = stated_message(error)
  refused = file_errors.explained(error) or memory_errors.explained(error)
  if message is None and refused is None:
    raise error
  report(message or str(refused))
  return STOPPED if message else USAGE_ERROR


def print_next(*words: str) -> None:
  """Print the command to type next, after all results; these alone are on standard output.

  Args:
    *words: the command and its arguments.
  """
  sys.stdout.flush()
  print(next_command.line(*words), file=sys.stderr)


def has_gpu() -> bool:
  """Whether this machine has the driver of a GPU."""
  return any(map(os.path.exists, _GPU_DEVICES))


def prepare_tensorflow(level: str) -> None:
  """Set what TensorFlow reads when it is imported, unless the environment sets it.

  Without a GPU, its notices about missing drivers have the level of errors, although nothing is
  wrong; real errors are also raised as exceptions. The Keras of this package is tf_keras. With
  another one, TensorFlow would also import Keras 3, and with it scikit-learn, which takes a fifth
  of the time of its import.

  Args:
    level: smallest level that is not logged with a GPU: '1' hides notices, '2' warnings too.
  """
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', level if has_gpu() else '3')
  os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')


def run(
  parser: argparse.ArgumentParser,
  execute: Callable[[argparse.Namespace], int],
  argv: list[str] | None = None,
  interrupted: str = NOTHING_WRITTEN,
) -> int:
  """Parse flags, run a command and return its exit status; see `guarded`.

  Args:
    parser: parser of the flags; it ends the process after wrong flags and after `--help`.
    execute: function that runs the command with the parsed flags. Slow imports belong there, so
      that `--help` answers at once.
    argv: flags; None for the flags of the process.
    interrupted: message after Ctrl-C or SIGTERM; it says how to go on.
  """
  args = parser.parse_args(argv)
  prepare_tensorflow('2')
  if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors='backslashreplace')  # Names of files may be no text.
  with interruption.handled(interrupted):
    return guarded(lambda: execute(args), interrupted=interrupted)
