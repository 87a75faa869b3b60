"""Locks between processes, so that two do not write the same files at the same time."""

import contextlib
import os
import platform
import time
from collections.abc import Iterator

from absl import logging

from htc_tf.errors import ConfigError

try:
  import fcntl
except ImportError:  # Systems without POSIX have no lock.
  fcntl = None  # type: ignore[assignment]

_MAX_OWNER_BYTES = 300
_SECONDS_BETWEEN_TRIALS = 0.5


@contextlib.contextmanager
def exclusive(path: str, work: str, elsewhere: str, seconds: float = 0) -> Iterator[None]:
  """Hold the lock of a file until the end of the block; the file is removed then.

  The operating system frees the lock of a process that dies, so that it blocks nobody. On a file
  system without locks, such as some network drives, there is no protection.

  Args:
    path: path of the file, which is made, in a folder that exists.
    work: what a process that has the lock does, for the message, such as 'trains in ...'.
    elsewhere: what to use instead, for the message, such as 'another --model_dir'.
    seconds: how long to wait for a process that has the lock, in seconds.

  Raises:
    ConfigError: another process still has the lock.
  """
  if fcntl is None:
    yield
    return
  descriptor = _acquire(path, work, elsewhere, time.monotonic() + seconds)
  try:
    yield
  finally:
    if descriptor is not None:
      # While the lock is held: afterwards, the file could be the lock of another process.
      with contextlib.suppress(OSError):
        os.remove(path)
      os.close(descriptor)


def _acquire(path: str, work: str, elsewhere: str, deadline: float) -> int | None:
  """The descriptor of the locked file; None if the file system has no locks."""
  is_told = False
  while True:
    descriptor = _open(path)
    try:
      fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      owner = os.pread(descriptor, _MAX_OWNER_BYTES, 0).decode('utf-8', 'replace')
      os.close(descriptor)
    except OSError:
      os.close(descriptor)
      return None
    else:
      if _is_at(descriptor, path):
        _note_owner(descriptor)
        return descriptor
      # Between opening and locking, the other process ended and removed the file.
      os.close(descriptor)
      continue
    left = deadline - time.monotonic()
    if left <= 0:
      raise ConfigError(
        f'Another process {work}',
        expected='one process at a time',
        got=owner or 'a process that just begins',
        likely_cause='the same command was started twice; wait for the other process, or take '
        f'{elsewhere}',
      )
    if not is_told:
      logging.info('Waiting up to %.0f s for %s, which still %s', left, owner, work)
      is_told = True
    time.sleep(min(left, _SECONDS_BETWEEN_TRIALS))


def _open(path: str) -> int:
  return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def _is_at(descriptor: int, path: str) -> bool:
  """Whether an open file is the one at a path."""
  try:
    return os.path.samestat(os.stat(path), os.fstat(descriptor))
  except FileNotFoundError:
    return False


def _note_owner(descriptor: int) -> None:
  """Name this process in the file, for the message of others; a full disk does not matter."""
  with contextlib.suppress(OSError):
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f'process {os.getpid()} on {platform.node()}'.encode(), 0)
