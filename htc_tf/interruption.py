"""The end of a command by Ctrl-C or SIGTERM within seconds, with its temporary files removed.

Python calls the handler of a signal only between two instructions of its main thread. A thread
therefore waits for the end, and ends the process itself if the main thread does not: because it
runs a long operation of TensorFlow, or because a library has swallowed the KeyboardInterrupt.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

# After this time, the process ends even if the main thread has not reacted.
_GRACE_SECONDS = 3.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Action = Callable[[], object]
Message = Callable[[], str]


class _State:
  """The signal that was received, and what has to be done if the process ends by force."""

  def __init__(self) -> None:
    self.received: int | None = None
    self.is_reported = False
    self.actions: dict[object, tuple[Action, Message | None]] = {}


_STATE = _State()


def status() -> int | None:
  """The exit status after a signal, 128 + its number; None if there was none."""
  return None if _STATE.received is None else 128 + _STATE.received


@contextlib.contextmanager
def undone_at_end(action: Action, message: Message | None = None) -> Iterator[None]:
  """A context with an action for the case that the process ends by force inside it.

  If a KeyboardInterrupt leaves the context, it gets the message, and the action is not called.

  Args:
    action: function that tidies up, such as one that removes a temporary file. Another thread calls
      it, and its errors are ignored.
    message: function that returns the text to show instead of that of `handled`.
  """
  key = object()
  _STATE.actions[key] = (action, message)
  try:
    yield
  except KeyboardInterrupt as interruption:
    if message is not None:
      interruption.args = (message(),)
    raise
  finally:
    _STATE.actions.pop(key, None)


def tidy_up() -> None:
  """Call the actions of all contexts of `undone_at_end`, before this process is ended."""
  for action, _ in reversed(list(_STATE.actions.values())):
    with contextlib.suppress(Exception):
      action()


@contextlib.contextmanager
def handled(message: str) -> Iterator[None]:
  """A context in which SIGINT and SIGTERM raise a KeyboardInterrupt, and then end the process.

  The process ends at the latest `_GRACE_SECONDS` after the signal, even if the context has ended.
  Outside the main thread, which alone receives signals, the context has no effect. A signal that is
  ignored, as SIGINT in a background process of a shell, stays ignored.

  Args:
    message: text to show if the process ends by force.
  """
  if threading.current_thread() is not threading.main_thread():
    yield
    return
  _STATE.received, _STATE.is_reported = None, False
  reader, writer = os.pipe()
  os.set_blocking(writer, False)
  threading.Thread(target=_watch, args=(reader, message), daemon=True).start()
  previous_fd = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
  previous = {
    number: signal.signal(number, _receive)
    for number in _SIGNALS
    if signal.getsignal(number) != signal.SIG_IGN
  }
  try:
    yield
  finally:
    if _STATE.received is None:
      for number, handler in previous.items():
        signal.signal(number, handler)
      signal.set_wakeup_fd(previous_fd)
      os.close(writer)  # It ends the thread.


def report(message: str) -> None:
  """Print the message after an interruption to standard error, once."""
  if not _STATE.is_reported:
    _STATE.is_reported = _STATE.received is not None
    print(message, file=sys.stderr, flush=True)


def _receive(number: int, frame: FrameType | None) -> None:
  """Raise KeyboardInterrupt for the first signal; later ones must not disturb the tidying up."""
  if _STATE.received is None:
    _STATE.received = number
    sys.unraisablehook = lambda _: None  # Else it prints a traceback of what is interrupted.
    signal.default_int_handler(number, frame)


def _watch(reader: int, message: str) -> None:
  """Wait for a signal; end the process if it still runs some seconds later."""
  with os.fdopen(reader, 'rb', buffering=0) as pipe:
    while number := pipe.read(1):
      if number[0] in _SIGNALS:
        threading.Event().wait(_GRACE_SECONDS)
        _end_by_force(number[0], message)


def _end_by_force(number: int, message: str) -> None:
  messages = [own for _, own in list(_STATE.actions.values()) if own is not None]
  tidy_up()
  with contextlib.suppress(Exception):
    report(messages[-1]() if messages else message)
  os._exit(128 + number)
