"""Bytes that grow on disk while a prediction runs, before they become files of it."""

import os
import tempfile
from typing import IO

from htc_tf.errors import StorageError

_CHUNK = 2**20


class AppendedBytes:
  """A file without a name, to which bytes are appended.

  Nothing else can have its name or see half of it, and nothing of it is left however the process
  ends.

  Args:
    folder: an existing folder, on whose disk the file is.

  Attributes:
    length: number of bytes.
  """

  def __init__(self, folder: str):
    self._stream = tempfile.TemporaryFile(dir=folder or '.')  # noqa: SIM115 (closed by `close`)
    self.length = 0

  def append(self, content: bytes) -> None:
    """Append bytes."""
    self._stream.write(content)
    self.length += len(content)

  def copy(self, target: IO[bytes], length: int) -> None:
    """Write the first `length` bytes to another file.

    Raises:
      OSError: a disk is full; or, as StorageError, bytes cannot be read.
    """
    self._stream.flush()
    start = 0
    while start < length:
      # Reading at a position leaves that of writing, also if another thread reads at the end.
      content = os.pread(self._stream.fileno(), min(_CHUNK, length - start), start)
      if not content:
        raise StorageError(
          'A temporary file cannot be read',
          expected=f'{length} bytes',
          got=str(start),
          likely_cause='a failing disk or network file system',
        )
      target.write(content)
      start += len(content)

  def close(self) -> None:
    """End the file, which is gone then."""
    self._stream.close()
