"""One row of the parity report."""

import math
from typing import NamedTuple


class Check(NamedTuple):
  """A figure and the bar it must keep.

  Attributes:
    name: what was compared.
    measured: how far ours is from the reference, in the unit the name says.
    bar: the largest `measured` that passes.
    ok: whether it passes.
  """

  name: str
  measured: float
  bar: float
  ok: bool


def at_most(name: str, measured: float, bar: float) -> Check:
  """The check that `measured` is not above `bar`; NaN fails."""
  measured, bar = float(measured), float(bar)
  return Check(name, measured, bar, not math.isnan(measured) and measured <= bar)
