"""Weights of the larger networks of the families around HTC, whose detections are compared.

    state = state_dict({'backbone.conv1.weight': (64, 3, 7, 7), ...}, {'backbone.bn1': 1.3, ...})

The rule for parameters is that of the families around HTC (`zoo_extract/weights.py`). The running
statistics of a norm are drawn, too, but around what the norm reads, so that activations do not grow
with the depth: its mean square is measured once, and one number for each norm is all that has to be
stored. The module needs NumPy only, so that the environment of the original can import it as well.
"""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from parity import step_weights

# The reference whose image the networks see.
IMAGE = 'scnet_r50_fpn_1x_coco'
# Distance of the stored channels of maps, and of the stored pixels of the input.
THINNING = 8
_MEAN, _VARIANCE = '.running_mean', '.running_var'


def norm_names(names: Sequence[str]) -> list[str]:
  """Names of the norms with running statistics, in the order of the names of their entries."""
  return [name.removesuffix(_VARIANCE) for name in names if name.endswith(_VARIANCE)]


def state_dict(
  shapes: Mapping[str, Sequence[int]], mean_squares: Mapping[str, float]
) -> dict[str, np.ndarray]:
  """Arrays of all entries that the network does not compute.

  Args:
    shapes: {published name: shape}.
    mean_squares: {name of a norm: mean square of what it reads}. Norms that are missing in it have
      no statistics in the result.
  """
  state = {}
  for name, shape in shapes.items():
    norm, _, entry = name.rpartition('.')
    if name.endswith((_MEAN, _VARIANCE)):
      if norm in mean_squares:
        state[name] = statistic(norm, entry, tuple(shape), mean_squares[norm])
    elif not name.endswith(step_weights.COMPUTED):
      state[name] = step_weights.rule().weight(name, tuple(shape), shapes)
  return state


def statistic(norm: str, entry: str, shape: tuple[int, ...], mean_square: float) -> np.ndarray:
  """A running statistic of a norm.

  Args:
    norm: published name of the norm.
    entry: `running_mean` or `running_var`.
    shape: number of channels, as a tuple.
    mean_square: mean square of what the norm reads.
  """
  draw = np.random.default_rng(zlib.crc32(f'{norm}.{entry}'.encode('ascii')))
  if entry == 'running_mean':
    values = draw.normal(0.0, 0.1, shape) * np.sqrt(mean_square)
  else:
    values = draw.uniform(0.5, 1.5, shape) * mean_square
  return values.astype(np.float32)
