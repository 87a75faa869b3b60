"""Inert objects for the names with which pickles build NumPy arrays of numbers and booleans."""

import math
from typing import Any

from htc_tf.convert.inert_objects import (
  Constructor,
  FunctionTable,
  Placeholder,
  constructors,
  require,
)
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
  """An element type that the pickle makes from a code and completes with a byte order.

  Args:
    element: the type in little-endian byte order.
  """

  __slots__ = ('element',)

  def __init__(self, element: ElementType):
    self.element = element


def set_array_state(array: StoredArray, state: Any) -> None:
  """Complete an array that `_reconstruct` made.

  Args:
    array: the array; it is changed.
    state: state in the file: (version, shape, dtype, whether in Fortran order, bytes).

  Raises:
    UnreadableError: the state is malformed.
  """
  require(
    isinstance(state, tuple) and len(state) == 5,
    'the state of a NumPy array is not a tuple of 5 items',
  )
  _, shape, dtype, is_fortran, data = state
  require(isinstance(dtype, NumpyDtype), 'the dtype of a NumPy array is not a dtype')
  require(
    isinstance(shape, tuple)
    and len(shape) <= MAX_RANK
    and all(type(size) is int and size >= 0 for size in shape),
    'the shape of a NumPy array is malformed',
  )
  num_bytes = math.prod(shape) * dtype.element.dtype.itemsize
  _check_length(data, num_bytes)
  strides = contiguous_strides(shape, is_fortran is True)
  described = view_of(Storage(num_bytes, data), dtype.element, shape, strides, 0)
  vars(array).update(vars(described))


def set_dtype_state(dtype: NumpyDtype, state: Any) -> None:
  """Set the byte order of a dtype.

  Args:
    dtype: the dtype; it is changed.
    state: state in the file: a tuple whose second item is the byte order.

  Raises:
    UnreadableError: the state is malformed, or the dtype has fields.
  """
  require(
    isinstance(state, tuple) and len(state) >= 5,
    'the state of a NumPy dtype is not a tuple of at least 5 items',
  )
  order = state[1]
  require(
    isinstance(order, str) and order in ('<', '>', '|', '='),
    'the byte order of a NumPy dtype is unknown',
  )
  require(state[2:5] == (None, None, None), 'a NumPy dtype has fields')
  if order == '>':
    dtype.element = dtype.element.with_byte_order('>')


def _check_length(data: Any, num_bytes: int) -> None:
  """Raise UnreadableError unless `data` consists of `num_bytes` bytes.

  For bytes that are encoded as text, only bounds are checked, because each byte above 127 takes two
  bytes in UTF-8.
  """
  require(isinstance(data, (memoryview, Latin1Bytes)), 'the data of a NumPy array is not bytes')
  if isinstance(data, Latin1Bytes):
    length = len(data.utf8)
    fits = num_bytes <= length <= 2 * num_bytes
  else:
    length = len(data)
    fits = num_bytes == length
  require(fits, f'a NumPy array states {num_bytes} bytes but has {length}')


def _reconstruct(array_class: Any, shape: Any, code: Any) -> StoredArray:
  """An array without contents, which `set_array_state` completes.

  The shape and the code in the file are dummies.
  """
  del shape, code
  require(
    isinstance(array_class, Placeholder) and array_class.name == _ARRAY_CLASS,
    'the class of an array is unknown',
  )
  return StoredArray()


def _dtype(code: Any, *unused: Any) -> NumpyDtype:
  del unused
  if not isinstance(code, str) or code not in _NUMBERS:
    shown = ascii(code) if isinstance(code, str) else type(code).__name__
    raise UnreadableError(
      f'the pickle names numpy.dtype({shown}), which is not a type of numbers', NOT_WEIGHTS
    )
  return NumpyDtype(element_type(code))


def _scalar(dtype: Any, data: Any) -> StoredArray:
  """An array of rank 0."""
  array = StoredArray()
  set_array_state(array, (1, (), dtype, False, data))
  return array


def _encode(text: Any, encoding: Any) -> Any:
  """Bytes that protocol 2 writes as text; long texts are decoded when their array is loaded."""
  require(
    isinstance(encoding, str) and encoding in ('latin1', 'latin-1'),
    'bytes are stored as text in an encoding other than latin1',
  )
  if isinstance(text, LongText):
    return Latin1Bytes(text.utf8)
  require(isinstance(text, str), 'bytes are encoded from an object that is not text')
  try:
    return memoryview(text.encode('latin-1'))
  except UnicodeEncodeError as error:
    raise UnreadableError('bytes stored as text have characters above 255') from error


def _numpy_constructors() -> dict[str, Constructor]:
  functions: FunctionTable = {
    'numpy.dtype': (_dtype, (1, 3)),
    '_codecs.encode': (_encode, (2, 2)),
  }
  for package in ('numpy.core', 'numpy._core'):  # NumPy 1 and 2
    functions[f'{package}.multiarray._reconstruct'] = (_reconstruct, (3, 3))
    functions[f'{package}.multiarray.scalar'] = (_scalar, (2, 2))
  return constructors(functions)


NUMPY_GLOBALS: dict[str, Any] = {**_numpy_constructors(), _ARRAY_CLASS: Placeholder(_ARRAY_CLASS)}
