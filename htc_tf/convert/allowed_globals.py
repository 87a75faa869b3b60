"""The complete list of functions and classes that a checkpoint may name.

Names that build arrays have constructors, which build descriptions of arrays. Names that
mmdetection and torch store beside the weights (histories, schedules, dates) have placeholders,
which drop their contents. Every other name is refused; none is ever imported.
"""

from typing import Any

from htc_tf.convert.inert_objects import (
  Constructor,
  FunctionTable,
  Placeholder,
  constructors,
  require,
)
from htc_tf.convert.numpy_globals import (
  NUMPY_GLOBALS,
  NumpyDtype,
  set_array_state,
  set_dtype_state,
)
from htc_tf.convert.stored_array import StoredArray
from htc_tf.convert.torch_globals import TORCH_GLOBALS
from htc_tf.convert.unreadable import NOT_WEIGHTS, UnreadableError

# mmengine pickles training histories with references to these methods of their class.
_HISTORY = 'mmengine.logging.history_buffer.HistoryBuffer'
_STATISTICS = ('mean', 'max', 'min', 'current')
_METADATA = (
  _HISTORY,
  'mmengine.config.config.Config',
  'mmengine.config.config.ConfigDict',
  'mmcv.utils.config.Config',
  'mmcv.utils.config.ConfigDict',
  'addict.addict.Dict',
  'argparse.Namespace',
  'collections.Counter',
  'collections.defaultdict',
  'collections.deque',
  'datetime.date',
  'datetime.datetime',
  'datetime.timedelta',
  'pathlib.Path',
  'pathlib.PosixPath',
  'pathlib.PurePosixPath',
  'torch.Size',
  'torch.device',
)
_BUILTIN_MODULES = ('builtins', '__builtin__')  # Python 3 and 2
_BUILTIN_METADATA = (
  'bool',
  'complex',
  'dict',
  'float',
  'frozenset',
  'int',
  'list',
  'set',
  'slice',
  'str',
)


def find_global(module: str, name: str) -> Any:
  """The inert object for an allowed name.

  Raises:
    UnreadableError: the name is not allowed; the message shows it.
  """
  full_name = f'{module}.{name}'
  inert_object = _GLOBALS.get(full_name)
  if inert_object is None:
    raise _refused(full_name)
  return inert_object


def set_state(target: Any, state: Any) -> None:
  """Set the state of an object, as the instruction BUILD does.

  The state of arrays and element types is checked and used; that of placeholders and dictionaries
  is dropped.

  Raises:
    UnreadableError: the state is malformed, or the object cannot have a state.
  """
  if isinstance(target, StoredArray) and target.storage is None:
    set_array_state(target, state)
  elif isinstance(target, NumpyDtype):
    set_dtype_state(target, state)
  elif not isinstance(target, (Placeholder, dict)):  # A dictionary's state is torch's `_metadata`.
    raise UnreadableError(f'the pickle sets the state of a {type(target).__name__}', NOT_WEIGHTS)


def _refused(full_name: str) -> UnreadableError:
  shown = full_name if full_name.isprintable() and full_name.isascii() else ascii(full_name)
  return UnreadableError(f'the pickle names {shown}, which weights do not need', NOT_WEIGHTS)


def _ordered_dict(pairs: Any = None) -> dict:
  """Contents of collections.OrderedDict, which Python 2 pickles as a call with a list of pairs.

  The list is emptied, so that a file cannot make many dictionaries from one list and so multiply
  its size in memory.
  """
  reason = 'an OrderedDict is not made from pairs'
  require(pairs is None or isinstance(pairs, list), reason)
  made = {}
  for pair in pairs or ():
    require(isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str), reason)
    made[pair[0]] = pair[1]
  if pairs:
    pairs.clear()
  return made


def _pair(items: Any) -> tuple:
  """A tuple of two: paddle.save writes a single tensor as tuple((name, array))."""
  require(isinstance(items, (tuple, list)) and len(items) == 2, 'a tuple is not made from a pair')
  return tuple(items)


def _empty_bytes() -> memoryview:
  """The result of `bytes()`, which protocol 2 writes for the contents of an empty array."""
  return memoryview(b'')


def _statistic(target: Any, name: Any) -> Placeholder:
  """The placeholder for getattr(HistoryBuffer, statistic); any other use of getattr is refused.

  Nothing is looked up.
  """
  is_history = isinstance(target, Placeholder) and target.name == _HISTORY
  if not is_history or name not in _STATISTICS:
    raise _refused('builtins.getattr')
  return Placeholder(f'{_HISTORY}.{name}')


def _plain_constructors() -> dict[str, Constructor]:
  functions: FunctionTable = {'collections.OrderedDict': (_ordered_dict, (0, 1))}
  for module in _BUILTIN_MODULES:
    functions[f'{module}.tuple'] = (_pair, (1, 1))
    functions[f'{module}.bytes'] = (_empty_bytes, (0, 0))
    functions[f'{module}.getattr'] = (_statistic, (2, 2))
  return constructors(functions)


def _placeholders() -> dict[str, Placeholder]:
  builtin = [f'{module}.{name}' for module in _BUILTIN_MODULES for name in _BUILTIN_METADATA]
  statistics = [f'{_HISTORY}.{name}' for name in _STATISTICS]  # as protocol 4 writes them
  return {name: Placeholder(name) for name in (*_METADATA, *builtin, *statistics)}


_GLOBALS: dict[str, Any] = {
  **TORCH_GLOBALS,
  **NUMPY_GLOBALS,
  **_plain_constructors(),
  **_placeholders(),
}
