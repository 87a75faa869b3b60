"""One side of the benchmark: `python -m benchmarks.side MODULE GROUP SIZE [FIRST]`.

MODULE is `ours` or `peer_mmdet`; FIRST is a module to import before it. `benchmarks.run` drives it.
Worker processes import the module that was started anew: hence one without TensorFlow.
"""

import importlib
import sys
from collections.abc import Mapping

from benchmarks import measuring, scene


def _build() -> Mapping[str, measuring.Measure]:
  """The rows that the command line names."""
  module, group, size, *first = sys.argv[1:]
  for name in first:
    importlib.import_module(name)
  groups = importlib.import_module(f'benchmarks.{module}').GROUPS
  return groups[group](scene.SceneSizes.parse(size))


if __name__ == '__main__':
  measuring.serve(_build)
