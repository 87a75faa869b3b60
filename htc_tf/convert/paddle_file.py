"""Reader of the .pdparams files that paddle.save writes: a pickled dictionary of NumPy arrays."""

from typing import Any

from htc_tf.convert.pickle_reader import PickleReader
from htc_tf.convert.stored_array import FileData, StoredArray
from htc_tf.convert.unreadable import NOT_WEIGHTS, UnreadableError

SIGNATURE = b'\x80'  # a pickle of protocol 2 or later

# This entry holds the names of the variables inside Paddle.
_INTERNAL_NAMES = 'StructuredToParameterName@@'


def read_paddle(data: FileData) -> dict[Any, Any]:
  """The dictionary in a .pdparams file, its arrays as `StoredArray`, without internal names.

  Args:
    data: content of the file.

  Raises:
    UnreadableError: the file is damaged, or holds objects that weights do not need.
  """
  stored = PickleReader(memoryview(data), _refuse_persistent, len(data)).read()
  if not isinstance(stored, dict):
    raise UnreadableError(
      f'the file holds a {type(stored).__name__} instead of a dictionary', NOT_WEIGHTS
    )
  return {name: _array(value) for name, value in stored.items() if name != _INTERNAL_NAMES}


def _array(value: Any) -> Any:
  """The array of a value.

  paddle.save writes a tensor outside a state dictionary as (name inside Paddle, array).
  """
  is_pair = isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], StoredArray)
  return value[1] if is_pair else value


def _refuse_persistent(identity: Any) -> None:
  del identity
  raise UnreadableError('the file stores an object outside its pickle')
