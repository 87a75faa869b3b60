"""A lock that keeps two conversions from writing the same records at the same time."""

import contextlib
import os
from collections.abc import Iterator, Sequence

from htc_tf import file_locks
from htc_tf.data.conversion_options import ConversionOptions


@contextlib.contextmanager
def exclusive(parts: Sequence[ConversionOptions]) -> Iterator[None]:
  """Reserve the outputs of each part until the end of the block; see `file_locks.exclusive`.

  Args:
    parts: options of the conversions of this process; their output folders are created.

  Raises:
    ConfigError: another process is writing records of the same prefix into the same folder.
  """
  with contextlib.ExitStack() as stack:
    for options in parts:
      stack.enter_context(_locked(options))
    yield


def _locked(options: ConversionOptions) -> contextlib.AbstractContextManager[None]:
  os.makedirs(options.output_folder, exist_ok=True)
  return file_locks.exclusive(
    os.path.join(options.output_folder, f'.{options.prefix}.lock'),
    work=f'writes records named {options.prefix!r} into {options.output_folder}',
    elsewhere='another --prefix or folder',
  )
