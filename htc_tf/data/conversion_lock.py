"""A lock that keeps two conversions from writing the same records at the same time."""

import contextlib
import os
from collections.abc import Iterator, Sequence

from htc_tf import file_locks
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.errors import ConfigError


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
  def occupied(owner: str) -> ConfigError:
    return ConfigError(
      f'Another process is writing records named {options.prefix!r} into {options.output_folder}',
      expected='one conversion at a time for a prefix and folder',
      got=owner,
      likely_cause='the same command was started twice; wait for the other one, or take another '
      '--prefix or folder',
    )

  os.makedirs(options.output_folder, exist_ok=True)
  path = os.path.join(options.output_folder, f'.{options.prefix}.lock')
  return file_locks.exclusive(path, occupied)
