"""Comparison of the gradients of a training step with the reference's, in the published layout."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from htc_tf.convert import transforms
from htc_tf.convert.mmdet_names import MMDET
from htc_tf.convert.name_map import NameMap
from htc_tf.convert.variables import named_variables
from htc_tf.modeling.htc_model import HTCModel
from parity import step_weights
from parity.check import Check, at_most

_FILE = 'mmdet_r50_grads.json'
_NORM_BAR, _MEDIAN_BAR, _PROBE_BAR = 0.01, 5e-4, 0.05

# Published name to {'norm', 'sum', 'probe'} of the gradient; to None for an entry without gradient.
# The probe is the product of the gradient with a random direction, which is a function of the name.
Figures = Mapping[str, Mapping[str, float] | None]


class _Deviation(NamedTuple):
  """Deviation of one gradient.

  Attributes:
    norm: relative difference of the norm.
    probe: difference of the probe, divided by the norm.
  """

  norm: float
  probe: float


def read_figures(folder: str) -> Figures:
  """Figures of the gradients of the reference, from a folder with the parity pack."""
  with open(os.path.join(folder, _FILE), encoding='utf-8') as file:
    return json.load(file)


def published_gradients(
  model: HTCModel,
  variables: Sequence[tf.Variable],
  gradients: Sequence[Any],
  name_map: NameMap = MMDET,
) -> dict[str, np.ndarray]:
  """Gradients by published name and in the published layout.

  Args:
    model: model that owns the variables.
    variables: some or all variables of the model.
    gradients: one gradient per variable.
    name_map: published names.
  """
  paths = {id(variable): path for path, variable in named_variables(model).items()}
  name_map = name_map.with_crop_size(model.cascade.box_features.crop_size)
  published = {}
  for variable, gradient in zip(variables, gradients):
    path = paths[id(variable)]
    match = name_map.find_source(path)
    assert match is not None, f'{path} has no published name.'
    values = tf.convert_to_tensor(gradient).numpy()  # The gradient of a gather is IndexedSlices.
    published[match.name] = transforms.revert(match.row.steps, values)
  return published


def gradient_checks(gradients: Mapping[str, np.ndarray], figures: Figures) -> list[Check]:
  """Checks that the same parameters train, with gradients of the same norm and direction.

  Args:
    gradients: gradient of every trained variable by published name.
    figures: figures of the reference.
  """
  trained = {name: values for name, values in figures.items() if values is not None}
  shared = sorted(set(trained) & set(gradients))
  deviations = [_deviation(name, gradients[name], trained[name]) for name in shared]
  norms, probes = np.transpose(deviations)
  return [
    at_most(
      'gradients: parameters that train in only one implementation',
      len(set(trained) ^ set(gradients)),
      0,
    ),
    at_most('gradients: norm, largest relative difference', np.max(norms), _NORM_BAR),
    at_most('gradients: norm, median relative difference', np.median(norms), _MEDIAN_BAR),
    at_most('gradients: probe, largest difference / norm', np.max(probes), _PROBE_BAR),
  ]


def _deviation(name: str, gradient: np.ndarray, expected: Mapping[str, float]) -> _Deviation:
  norm = np.linalg.norm(gradient.astype(np.float64))
  probe = step_weights.probe(name, gradient)
  return _Deviation(
    float(abs(norm / expected['norm'] - 1.0)),
    float(abs(probe - expected['probe']) / expected['norm']),
  )
