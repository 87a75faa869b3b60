"""Locks between processes, so that two do not write the same files at the same time."""

import contextlib
import os
import platform
import time
from collections.abc import Callable, Iterator

from absl import logging

from htc_tf.errors import HTCError

try:
  import fcntl
except ImportError:  # Systems without POSIX have no lock.
  fcntl = None  # type: ignore[assignment]

_MAX_OWNER_BYTES = 300


@contextlib.contextmanager
def exclusive(path: str, occupied: Callable[[str], HTCError], seconds: float = 0) -> Iterator[None]:
  """Hold the lock of a file until the end of the block; the file is removed then.

  The operating system frees the lock of a process that dies, so that it blocks nobody. On a file
  system without locks, such as some network drives, there is no protection.

  Args:
    path: path of the file, which is made, in a folder that exists.
    occupied: makes the error from a description of the process that has the lock.
    seconds: how long to wait for a process that has the lock, in seconds.

  Raises:
    HTCError: another process still has the lock; that of `occupied`.
  """
  if fcntl is None:
    yield
    return
  descriptor = _acquire(path, occupied, time.monotonic() + seconds)
  try:
    yield
  finally:
    if descriptor is not None:
      # While the lock is held: afterwards, the file could be the lock of another process.
      with contextlib.suppress(OSError):
        os.remove(path)
      os.close(descriptor)


def _acquire(path: str, occupied: Callable[[str], HTCError], deadline: float) -> int | None:
  """The descriptor of the locked file; None if the file system has no locks."""
  is_told = False
  while True:
    descriptor = _open(path)
    try:
      if _lock(descriptor, path):
        return descriptor
    except OSError:
      os.close(descriptor)
      return None
    owner = os.pread(descriptor, _MAX_OWNER_BYTES, 0).decode('utf-8', 'replace')
    os.close(descriptor)
    owner = owner or 'another process'
    left = deadline - time.monotonic()
    if left <= 0:
      raise occupied(owner)
    if not is_told:
      logging.info('Waiting up to %.0f s for %s, which still uses %s', left, owner, path)
      is_told = True
    time.sleep(min(left, 0.5))


def _open(path: str) -> int:
  return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def _lock(descriptor: int, path: str) -> bool:
  """Lock an open file, and note this process in it; False if another process has or had the lock.

  Raises:
    OSError: the file system has no locks.
  """
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    return False
  # Between opening and locking, the other process may have ended and removed the file.
  if not os.path.exists(path) or not os.path.samestat(os.stat(path), os.fstat(descriptor)):
    return False
  os.ftruncate(descriptor, 0)
  os.pwrite(descriptor, f'process {os.getpid()} on {platform.node()}'.encode(), 0)
  return True
