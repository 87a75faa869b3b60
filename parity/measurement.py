"""Measurements to be made against stored arrays, some of which may not be there."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from parity.check import Check, at_most
from parity.pack import MissingArrayError

Array = Callable[[], np.ndarray]

MAPS_BAR = 5e-5  # of the largest reference value
_RELATIVE = 'largest difference / largest value'


class Measurement(NamedTuple):
  """A row of the report before it is measured.

  Attributes:
    name: what is compared, and the unit.
    bar: the largest figure that passes.
    measure: gives the figure; raises MissingArrayError without its reference.
  """

  name: str
  bar: float
  measure: Callable[[], float]


class NotRun(NamedTuple):
  """A row, or several as one (their `bar` is None), whose reference `missing` is not there."""

  name: str
  bar: float | None
  missing: str


def run(
  measurements: Iterable[Measurement], show: Callable[[str], None] = lambda line: None
) -> tuple[list[Check], list[NotRun]]:
  """Measures what can be measured; the rest is listed.

  Args:
    measurements: in the order of the report.
    show: told of each as it is done.
  """
  checks, not_run = [], []
  for name, bar, measure in measurements:
    try:
      checks.append(at_most(name, measure(), bar))
      show(f'{checks[-1].measured:9.2e} of {bar:.0e}  {name}')
    except MissingArrayError as error:
      not_run.append(NotRun(name, bar, error.name))
  return checks, not_run


def near(name: str, actual: Array, expected: Array, bar: float = MAPS_BAR) -> Measurement:
  """Largest difference in shares of the largest reference value.

  Args:
    name: what is compared.
    actual: gives our array; asked after the reference, so that nothing runs in vain.
    expected: gives the reference, in our layout.
    bar: the largest share.
  """

  def measure():
    reference = expected()
    return relative_difference(np.asarray(actual()), reference)

  return Measurement(f'{name}, {_RELATIVE}', bar, measure)


def relative_difference(actual: np.ndarray, expected: np.ndarray) -> float:
  """Largest difference in shares of the largest reference value; NaN for another shape."""
  if actual.shape != expected.shape:
    return float('nan')
  return float(np.abs(actual - expected).max() / np.abs(expected).max())


def lost_share(boxes: np.ndarray, reference: np.ndarray, tolerance: float) -> float:
  """Share of reference boxes [n, 4] that are nowhere in `boxes` [m, 4] within `tolerance` px."""
  distances = np.abs(reference[:, np.newaxis] - boxes).max(-1)  # [n, m]
  return float(np.mean(distances.min(1, initial=np.inf) > tolerance))
