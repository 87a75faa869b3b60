"""Weights of the reduced models whose training steps are compared.

    state = state_dict({'neck.fpn_convs.0.conv.bias': (32,), ...})

The rule for parameters is that of the families around HTC (`zoo_extract/weights.py`), except that
the shifts of standardized kernels are a tenth, so that they do not saturate a narrow network. The
running statistics of the norms are drawn, too, because a reduced network is too shallow for its
activations to grow. The module needs NumPy only, so that the environment of the original can import
it as well.
"""

import functools
import importlib.util
import pathlib
import types
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

_RULE = pathlib.Path(__file__).parent / 'zoo_extract' / 'weights.py'
# End of the names of tables that the network computes.
COMPUTED = '.relative_position_index'


@functools.cache
def rule() -> types.ModuleType:
  """The module with the rule for parameters."""
  spec = importlib.util.spec_from_file_location('weights_of_families', _RULE)
  assert spec is not None and spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def shape_arrays(shapes: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
  """Shapes of at most four sides as a reference stores them, `names` [num] and `shapes` [num, 4].

  Args:
    shapes: {published name: shape}.
  """
  rows = [[*shape, *[-1] * (4 - len(shape))] for shape in shapes.values()]
  return {'names': np.array(list(shapes)), 'shapes': np.array(rows, np.int32)}


def stored_shapes(arrays: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
  """{published name: shape} from the arrays of `shape_arrays`."""
  rows = zip(arrays['names'], arrays['shapes'])
  return {str(name): tuple(int(side) for side in shape if side >= 0) for name, shape in rows}


def state_dict(shapes: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
  """Arrays of all entries that are no tables computed by the network.

  Args:
    shapes: {published name: shape}.
  """
  return {
    name: _entry(name, tuple(shape), shapes)
    for name, shape in shapes.items()
    if not name.endswith(COMPUTED)
  }


def probe(name: str, gradient: np.ndarray) -> float:
  """Product of a gradient in the published layout with a direction that its name determines."""
  direction = np.random.default_rng(zlib.crc32(f'grad:{name}'.encode('ascii')))
  return float(np.vdot(gradient.astype(np.float64), direction.standard_normal(gradient.shape)))


def _entry(name: str, shape: tuple[int, ...], shapes: Mapping[str, Sequence[int]]) -> np.ndarray:
  draw = np.random.default_rng(zlib.crc32(name.encode('ascii')))
  if name.endswith('.weight_beta'):
    return np.float32(0.1) * rule().weight(name, shape, shapes)
  if name.endswith('.running_mean'):
    return draw.normal(0.0, 0.1, shape).astype(np.float32)
  if name.endswith('.running_var'):
    return draw.uniform(0.5, 1.5, shape).astype(np.float32)
  return rule().weight(name, shape, shapes)
