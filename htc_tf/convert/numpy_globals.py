"""Stand-ins for the names by which pickles build NumPy arrays; numbers and truth values only."""

import math
from typing import Any

from htc_tf.convert.stand_ins import Constructor, Placeholder, require
from htc_tf.convert.stored_array import (
  MAX_RANK,
  ElementType,
  Latin1Bytes,
  LongText,
  Storage,
  StoredArray,
  contiguous_strides,
  element_type,
  view_of,
)
from htc_tf.convert.unreadable import NOT_WEIGHTS, UnreadableError

_NUMBERS = ('f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'b1', 'c8', 'c16')
_ARRAY_CLASS = 'numpy.ndarray'


class NumpyDtype:
  """An element type while the file describes it: first the code, then the byte order."""

  __slots__ = ('element',)

  def __init__(self, element: ElementType):
    self.element = element


def describe_array(array: StoredArray, state: Any) -> None:
  """Tells an announced array what the file says of it: (version, shape, type, order, bytes)."""
  require(isinstance(state, tuple) and len(state) == 5, 'a NumPy array has no state')
  _, shape, dtype, is_fortran, data = state
  require(isinstance(dtype, NumpyDtype), 'a NumPy array has no type')
  require(
    isinstance(shape, tuple)
    and len(shape) <= MAX_RANK
    and all(type(size) is int and size >= 0 for size in shape),
    'a NumPy array has no shape',
  )
  num_bytes = math.prod(shape) * dtype.element.dtype.itemsize
  _check_length(data, num_bytes)
  strides = contiguous_strides(shape, is_fortran is True)
  described = view_of(Storage(num_bytes, data), dtype.element, shape, strides, 0)
  vars(array).update(vars(described))


def describe_dtype(dtype: NumpyDtype, state: Any) -> None:
  """Tells a type its byte order; refuses types with fields."""
  require(isinstance(state, tuple) and len(state) >= 5, 'a NumPy type has no state')
  order = state[1]
  require(isinstance(order, str) and order in ('<', '>', '|', '='), 'a NumPy type has no order')
  require(state[2:5] == (None, None, None), 'a NumPy type has fields')
  if order == '>':
    dtype.element = dtype.element.with_byte_order('>')


def _check_length(data: Any, num_bytes: int) -> None:
  """Bytes have the claimed length; spelled as UTF-8 text, those above 127 take two."""
  require(isinstance(data, (memoryview, Latin1Bytes)), 'a NumPy array has no bytes')
  spelled = isinstance(data, Latin1Bytes)
  length = len(data.utf8) if spelled else len(data)
  fits = num_bytes <= length <= 2 * num_bytes if spelled else num_bytes == length
  require(fits, f'a NumPy array claims {num_bytes} bytes and has {length}')


def _reconstruct(array_class: Any, shape: Any, code: Any) -> StoredArray:
  """Announces an array, of which the arguments say nothing yet."""
  del shape, code
  require(
    isinstance(array_class, Placeholder) and array_class.name == _ARRAY_CLASS,
    'an array of no known class',
  )
  return StoredArray()


def _dtype(code: Any, *unused: Any) -> NumpyDtype:
  del unused
  if not isinstance(code, str) or code not in _NUMBERS:
    shown = ascii(code) if isinstance(code, str) else type(code).__name__
    raise UnreadableError(f'it asks for numpy.dtype({shown}), which is no number', NOT_WEIGHTS)
  return NumpyDtype(element_type(code))


def _scalar(dtype: Any, data: Any) -> StoredArray:
  """An array without axes."""
  array = StoredArray()
  describe_array(array, (1, (), dtype, False, data))
  return array


def _encode(text: Any, encoding: Any) -> Any:
  """How protocol 2 spells bytes; long ones are decoded when their array is loaded, if ever."""
  require(
    isinstance(encoding, str) and encoding in ('latin1', 'latin-1'),
    'bytes are spelled in an encoding other than latin1',
  )
  if isinstance(text, LongText):
    return Latin1Bytes(text.utf8)
  require(isinstance(text, str), 'bytes are spelled by what is no text')
  try:
    return memoryview(text.encode('latin-1'))
  except UnicodeEncodeError as error:
    raise UnreadableError('bytes are spelled in characters above 255') from error


def _constructors() -> dict[str, Constructor]:
  table = {'numpy.dtype': (_dtype, (1, 3)), '_codecs.encode': (_encode, (2, 2))}
  for package in ('numpy.core', 'numpy._core'):  # NumPy 1 and 2
    table[f'{package}.multiarray._reconstruct'] = (_reconstruct, (3, 3))
    table[f'{package}.multiarray.scalar'] = (_scalar, (2, 2))
  return {name: Constructor(name, function, counts) for name, (function, counts) in table.items()}


NUMPY_GLOBALS: dict[str, Any] = {**_constructors(), _ARRAY_CLASS: Placeholder(_ARRAY_CLASS)}
