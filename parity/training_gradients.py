"""Gradients of a training step against the reference's, in the published layout."""

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from htc_tf.convert import transforms
from htc_tf.convert.mmdet_names import MMDET
from htc_tf.convert.variables import named_variables
from htc_tf.modeling.htc_model import HTCModel
from parity.check import Check, at_most

_FILE = 'mmdet_r50_grads.json'
_NORM_BAR, _MEDIAN_BAR, _PROBE_BAR = 0.01, 5e-4, 0.05

# Published name to {'norm', 'sum', 'probe'} of its gradient, or to None where it has none.
Figures = Mapping[str, Mapping[str, float] | None]


class _Deviation(NamedTuple):
  """Of one gradient: relative in the norm, and of the probe as a part of the norm."""

  norm: float
  probe: float


def read_figures(folder: str) -> Figures:
  """The reference's figures in a folder that holds the parity pack's gradients."""
  with open(os.path.join(folder, _FILE), encoding='utf-8') as file:
    return json.load(file)


def published_gradients(
  model: HTCModel, variables: Sequence[tf.Variable], gradients: Sequence[Any]
) -> dict[str, np.ndarray]:
  """Gradients by published name and in the published layout.

  Args:
    model: whose variables these are.
    variables: some or all of them.
    gradients: one a variable.
  """
  paths = {id(variable): path for path, variable in named_variables(model).items()}
  published = {}
  for variable, gradient in zip(variables, gradients):
    match = MMDET.find_source(paths[id(variable)])
    values = tf.convert_to_tensor(gradient).numpy()  # A gather's gradient comes as slices.
    published[match.name] = transforms.revert(match.row.steps, values)
  return published


def gradient_checks(gradients: Mapping[str, np.ndarray], figures: Figures) -> list[Check]:
  """Checks that the same parameters train, by gradients of the same norm and direction.

  Args:
    gradients: by published name, of every variable that trains.
    figures: of the reference.
  """
  trained = {name for name, values in figures.items() if values is not None}
  shared = sorted(trained & set(gradients))
  deviations = [_deviation(name, gradients[name], figures[name]) for name in shared]
  norms, probes = np.transpose(deviations)
  return [
    at_most(
      'gradients: parameters that train only here or only there', len(trained ^ set(gradients)), 0
    ),
    at_most('gradients: norm, largest relative difference', np.max(norms), _NORM_BAR),
    at_most('gradients: norm, median relative difference', np.median(norms), _MEDIAN_BAR),
    at_most('gradients: probe, largest difference / norm', np.max(probes), _PROBE_BAR),
  ]


def _deviation(name: str, gradient: np.ndarray, expected: Mapping[str, float]) -> _Deviation:
  gradient = gradient.astype(np.float64)
  direction = np.random.default_rng(zlib.crc32(f'grad:{name}'.encode('ascii')))
  probe = np.vdot(gradient, direction.standard_normal(gradient.shape))
  return _Deviation(
    abs(np.linalg.norm(gradient) / expected['norm'] - 1.0),
    abs(probe - expected['probe']) / expected['norm'],
  )
