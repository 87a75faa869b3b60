"""One side of the benchmark: `python -m benchmarks.side MODULE GROUP SIZE [FIRST]`.

MODULE is `ours` or `peer_mmdet`; FIRST is a module to import before it. `benchmarks.run` starts
this module. It must not import TensorFlow, because worker processes import the started module
again.
"""

import importlib
import sys
from collections.abc import Mapping

from benchmarks import measuring, scene


def _build() -> Mapping[str, measuring.Measure]:
  """The rows of the module, group and size on the command line."""
  module, group, size, *first = sys.argv[1:]
  if module == 'ours':  # As in the commands; the environment of the peer does not have them.
    from htc_tf.cli import command

    command.prepare_tensorflow('1')
  for name in first:
    importlib.import_module(name)
  groups = importlib.import_module(f'benchmarks.{module}').GROUPS
  return groups[group](scene.SceneSizes.parse(size))


if __name__ == '__main__':
  measuring.serve(_build)
