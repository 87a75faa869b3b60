"""Measurements against stored arrays, some of which may be missing."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from parity.check import Check, at_most
from parity.pack import MissingArrayError

Array = Callable[[], np.ndarray]

MAPS_BAR = 5e-5  # divided by the largest reference value
RELATIVE = 'largest difference / largest value'


class Measurement(NamedTuple):
  """A row of the report before it is measured.

  Attributes:
    name: compared quantity, and the unit of the difference.
    bar: largest difference that passes.
    measure: function that returns the difference; it raises MissingArrayError if the reference is
      missing.
  """

  name: str
  bar: float
  measure: Callable[[], float]


class NotRun(NamedTuple):
  """A row that was not measured because its reference is missing.

  Attributes:
    name: name of the measurement, or a name for several of them.
    bar: bar of the measurement; None for several.
    missing: name of the missing array or files.
  """

  name: str
  bar: float | None
  missing: str


def run(
  measurements: Iterable[Measurement], show: Callable[[str], None] = lambda line: None
) -> tuple[list[Check], list[NotRun]]:
  """The checks of all measurements whose reference exists, and the rows of the others.

  Args:
    measurements: measurements in the order of the report.
    show: function that is called with a line of text after each measurement.
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
  """Measurement of the largest difference, divided by the largest reference value.

  Args:
    name: compared quantity.
    actual: function that returns our array. It is called after `expected`, so that nothing is
      computed if the reference is missing.
    expected: function that returns the reference in our layout.
    bar: largest quotient that passes.
  """

  def measure():
    reference = expected()
    return relative_difference(np.asarray(actual()), reference)

  return Measurement(f'{name}, {RELATIVE}', bar, measure)


def relative_difference(actual: np.ndarray, expected: np.ndarray) -> float:
  """Largest difference, divided by the largest reference value; NaN if the shapes differ."""
  if actual.shape != expected.shape:
    return float('nan')
  return float(np.abs(actual - expected).max() / np.abs(expected).max())


def lost_share(boxes: np.ndarray, reference: np.ndarray, tolerance: float) -> float:
  """Share of reference boxes that no box matches within a tolerance.

  Args:
    boxes: [num, 4] our boxes.
    reference: [num_reference, 4] boxes of the reference.
    tolerance: largest difference of a coordinate, in pixels.
  """
  distances = np.abs(reference[:, np.newaxis] - boxes).max(-1)  # [num_reference, num]
  return float(np.mean(distances.min(1, initial=np.inf) > tolerance))
