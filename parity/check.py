"""One row of the parity report."""

import math
from typing import NamedTuple


class Check(NamedTuple):
  """A measured difference and the bar that it must not exceed.

  Attributes:
    name: compared quantity, and the unit of the difference.
    measured: difference from the reference.
    bar: largest difference that passes.
    ok: whether the check passes.
  """

  name: str
  measured: float
  bar: float
  ok: bool


def at_most(name: str, measured: float, bar: float) -> Check:
  """A check that passes if `measured` is at most `bar`; NaN fails."""
  measured, bar = float(measured), float(bar)
  return Check(name, measured, bar, not math.isnan(measured) and measured <= bar)
