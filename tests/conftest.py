"""What all tests share: parsed flags, and one process that leaves the machine's cores to others."""

import sys

from absl import flags
import pytest


@pytest.fixture(scope='session', autouse=True)
def parsed_flags():
  """absl refuses to read flags that were not parsed; Model Garden reads some on import paths."""
  if not flags.FLAGS.is_parsed():
    flags.FLAGS(sys.argv[:1])
