"""Writing files whole or not at all."""

import contextlib
import os
import pathlib
from typing import Iterator, Union

PathLike = Union[str, os.PathLike]


@contextlib.contextmanager
def replaced_when_written(path: PathLike) -> Iterator[pathlib.Path]:
  """Gives a temporary name beside `path`, which takes the place of `path` when the block ends well.

  A reader therefore sees the old file or the new one, never half of one. Missing folders are made.
  If the block raises, the temporary file is removed and `path` stays as it was.

  Args:
    path: the file to write.

  Yields:
    The path to write to; its name ends as that of `path` does.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = path.with_name(f'.{path.stem}.{os.getpid()}.part{path.suffix}')
  try:
    yield temporary
    os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)
