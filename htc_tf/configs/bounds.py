"""Types of configuration fields that carry the range of their values.

A field declares its range in its type, e.g. `positive_fraction: Fraction = 0.25`.
`value_types.check_values` reads it there. Model Garden's classes have plain types; their ranges are
in `model_garden_bounds`.
"""

import math
from typing import Annotated, NamedTuple

_PERCENTAGE = 'a percentage'


class Bounds(NamedTuple):
  """Range of a number.

  Attributes:
    low: smallest value.
    high: largest value.
    above: whether `low` itself is excluded.
    below: whether `high` itself is excluded.
    likely_cause: usual reason for a value outside, for the error message.
  """

  low: float = -math.inf
  high: float = math.inf
  above: bool = False
  below: bool = False
  likely_cause: str | None = None

  def hold(self, value: float) -> bool:
    """Whether a value is finite and in the range."""
    low = value > self.low if self.above else value >= self.low
    high = value < self.high if self.below else value <= self.high
    return low and high and -math.inf < value < math.inf  # NaN is not.

  def __str__(self) -> str:
    """The range in words."""
    if math.isinf(self.low) and math.isinf(self.high):
      return 'a finite number'
    if math.isinf(self.high):
      if self.low == 0 and self.above:
        return 'a positive number'
      return f'a number above {_text(self.low)}' if self.above else f'{_text(self.low)} or more'
    if self.above or self.below:
      ends = [f'{"above" if self.above else "from"} {_text(self.low)}']
      ends.append(f'{"below" if self.below else "up to"} {_text(self.high)}')
      return f'a number {" and ".join(ends)}'
    return f'a number in {_text(self.low)}..{_text(self.high)}'


def _text(number: float) -> str:
  return str(int(number)) if float(number).is_integer() else str(number)


class OneOf(NamedTuple):
  """The known values of a field.

  Attributes:
    values: the values.
  """

  values: tuple[str | int, ...]


FINITE = Bounds()
POSITIVE = Bounds(low=0, above=True)
AT_LEAST_0 = Bounds(low=0)
AT_LEAST_1 = Bounds(low=1)
FRACTION = Bounds(0, 1, likely_cause=_PERCENTAGE)

PositiveInt = Annotated[int, POSITIVE]
Count = Annotated[int, AT_LEAST_0]
PositiveFloat = Annotated[float, POSITIVE]
NonNegativeFloat = Annotated[float, AT_LEAST_0]
Fraction = Annotated[float, FRACTION]
PositiveFraction = Annotated[float, Bounds(0, 1, above=True, likely_cause=_PERCENTAGE)]
OpenFraction = Annotated[float, Bounds(0, 1, above=True, below=True, likely_cause=_PERCENTAGE)]
# A weight of a loss: a negative one would maximize the term.
Weight = Annotated[float, Bounds(low=0, likely_cause='a wrong sign')]
