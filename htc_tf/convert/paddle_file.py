"""Reads the .pdparams files that paddle.save writes: one pickle of a dictionary of NumPy arrays."""

from typing import Any

from htc_tf.convert.pickle_reader import PickleReader
from htc_tf.convert.stored_array import StoredArray
from htc_tf.convert.unreadable import NOT_WEIGHTS, UnreadableError

SIGNATURE = b'\x80'  # a pickle of protocol 2 or later

# Names of the variables inside Paddle, of no use outside.
_INTERNAL_NAMES = 'StructuredToParameterName@@'


def read_paddle(data: bytes) -> dict[Any, Any]:
  """The dictionary in a .pdparams file, its arrays as `StoredArray`, without internal names.

  Args:
    data: the whole file.

  Raises:
    UnreadableError: the file is damaged or asks for anything that is no array.
  """
  stored = PickleReader(memoryview(data), _refuse_persistent, len(data)).read()
  if not isinstance(stored, dict):
    raise UnreadableError(
      f'it holds a {type(stored).__name__} instead of a dictionary', NOT_WEIGHTS
    )
  return {name: _array(value) for name, value in stored.items() if name != _INTERNAL_NAMES}


def _array(value: Any) -> Any:
  """paddle.save writes a tensor outside a state dictionary as (name inside Paddle, array)."""
  is_pair = isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], StoredArray)
  return value[1] if is_pair else value


def _refuse_persistent(identity: Any) -> None:
  del identity
  raise UnreadableError('it stores an object outside its pickle')
