"""Writing files whole or not at all."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

PathLike = str | os.PathLike


@contextlib.contextmanager
def replaced_when_written(path: PathLike) -> Iterator[pathlib.Path]:
  """Gives a temporary name beside `path`, which takes the place of `path` when the block ends well.

  A reader therefore sees the old file or the new one, never half of one. Missing folders are made.
  If the block raises, the temporary file is removed and `path` stays as it was.

  Args:
    path: the file to write.

  Yields:
    The path to write to: of this process alone, with the ending of `path`, and with a leading dot,
    so that no pattern meant for `path` matches it.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = path.with_name(f'.{path.stem}.{os.getpid()}.part{path.suffix}')
  try:
    yield temporary
    os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)


def write_bytes(path: PathLike, content: bytes) -> None:
  """Writes a file whole or not at all; a file that holds `content` already is left untouched."""
  path = pathlib.Path(path)
  if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
    return
  with replaced_when_written(path) as temporary:
    temporary.write_bytes(content)


def remove_if_present(path: PathLike) -> None:
  """Removes a file that may be absent."""
  pathlib.Path(path).unlink(missing_ok=True)
