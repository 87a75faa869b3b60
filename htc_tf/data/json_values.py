"""Tolerant readings of single JSON values, for annotation files that people and tools write.

Tools write numbers as text, whole numbers as floats, and flags as words. Each function returns the
value that was meant, or None if that is not clear.
"""

import re
from typing import Any

_INTEGER = re.compile(r'[+-]?[0-9]{1,30}(\.0*)?')
_FLAGS = {'': False, '0': False, 'false': False, 'no': False, '1': True, 'true': True, 'yes': True}
_MAX_INTEGER = 2**63 - 1  # Records store integers of 64 bits,
_MAX_NUMBER = 3.4e38  # and numbers as floats of 32 bits.


def integer(value: Any) -> int | None:
  """The integer that a value stands for, such as 7, 7.0 or "7"; None if it needs over 64 bits."""
  if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
    value = int(value.strip().partition('.')[0])
  if isinstance(value, float) and value.is_integer():
    value = int(value)
  if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_INTEGER:
    return value
  return None


def number(value: Any) -> float | None:
  """The number that a value stands for, such as 1.5 or "1.5"; integers stay integers.

  It is None for NaN and for values beyond 3.4e38, which a record cannot store.
  """
  if isinstance(value, str):
    try:
      value = float(value)
    except ValueError:
      return None
  return value if is_finite_number(value) else None


def flag(value: Any) -> bool | None:
  """The truth value that a value stands for: "0", "false", "" and null are false."""
  if value is None:
    return False
  if isinstance(value, str):
    read = number(value)
    return _FLAGS.get(value.strip().lower(), None if read is None else bool(read))
  return bool(value) if isinstance(value, bool) or is_finite_number(value) else None


def is_finite_number(value: Any) -> bool:
  """Whether a JSON value is a number of 32 bits, not NaN or infinity; booleans are not numbers."""
  is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
  return is_number and -_MAX_NUMBER <= value <= _MAX_NUMBER
