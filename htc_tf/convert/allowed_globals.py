"""The whole list of names a checkpoint may ask for.

Names that build arrays give descriptions of arrays. Names that mmdetection and torch leave beside
the weights (histories, schedules, dates) give placeholders, which drop all they are told. Any other
name is refused; none is ever imported.
"""

from typing import Any

from htc_tf.convert.numpy_globals import NUMPY_GLOBALS, NumpyDtype, describe_array, describe_dtype
from htc_tf.convert.stand_ins import Constructor, Placeholder, require
from htc_tf.convert.stored_array import StoredArray
from htc_tf.convert.torch_globals import TORCH_GLOBALS
from htc_tf.convert.unreadable import NOT_WEIGHTS, UnreadableError

# mmengine's training histories, and the statistics they name as methods of their own.
_HISTORY = 'mmengine.logging.history_buffer.HistoryBuffer'
_STATISTICS = ('mean', 'max', 'min', 'current')
_NOTES = (
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
_BUILTIN_NOTES = (
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
  """The stand-in of an allowed name; raises UnreadableError naming any other."""
  full_name = f'{module}.{name}'
  stand_in = _GLOBALS.get(full_name)
  if stand_in is None:
    raise _refused(full_name)
  return stand_in


def set_state(target: Any, state: Any) -> None:
  """Tells `target` its state: what describes an array is checked, what nobody needs is dropped."""
  if isinstance(target, StoredArray) and target.storage is None:
    describe_array(target, state)
  elif isinstance(target, NumpyDtype):
    describe_dtype(target, state)
  elif not isinstance(target, (Placeholder, dict)):  # of a dictionary: torch's `_metadata`
    raise UnreadableError(f'it sets the state of a {type(target).__name__}', NOT_WEIGHTS)


def _refused(full_name: str) -> UnreadableError:
  shown = full_name if full_name.isprintable() and full_name.isascii() else ascii(full_name)
  return UnreadableError(f'it asks for {shown}, which no weights need', NOT_WEIGHTS)


def _ordered_dict(pairs: Any = None) -> dict:
  """collections.OrderedDict, of nothing or, from Python 2, of a list of pairs.

  The pairs move: one list cannot be made into many dictionaries, which would multiply a file.
  """
  require(pairs is None or isinstance(pairs, list), 'a dictionary is made of no pairs')
  made = {}
  for pair in pairs or ():
    require(
      isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str),
      'a dictionary is made of no pairs',
    )
    made[pair[0]] = pair[1]
  if pairs:
    pairs.clear()
  return made


def _pair(items: Any) -> tuple:
  """tuple, by which paddle.save writes a single tensor as (name, array)."""
  require(isinstance(items, (tuple, list)) and len(items) == 2, 'a pair is made of no pair')
  return tuple(items)


def _no_bytes() -> memoryview:
  """bytes, by which protocol 2 writes the contents of an empty array."""
  return memoryview(b'')


def _statistic(target: Any, name: Any) -> Placeholder:
  """getattr, by which a history names its statistics: looks nothing up, refuses all else."""
  is_history = isinstance(target, Placeholder) and target.name == _HISTORY
  if not is_history or name not in _STATISTICS:
    raise _refused('builtins.getattr')
  return Placeholder(f'{_HISTORY}.{name}')


def _plain_constructors() -> dict[str, Constructor]:
  table = {'collections.OrderedDict': (_ordered_dict, (0, 1))}
  for module in _BUILTIN_MODULES:
    table[f'{module}.tuple'] = (_pair, (1, 1))
    table[f'{module}.bytes'] = (_no_bytes, (0, 0))
    table[f'{module}.getattr'] = (_statistic, (2, 2))
  return {name: Constructor(name, function, counts) for name, (function, counts) in table.items()}


def _placeholders() -> dict[str, Placeholder]:
  builtin = [f'{module}.{name}' for module in _BUILTIN_MODULES for name in _BUILTIN_NOTES]
  statistics = [f'{_HISTORY}.{name}' for name in _STATISTICS]  # as protocol 4 writes them
  return {name: Placeholder(name) for name in (*_NOTES, *builtin, *statistics)}


_GLOBALS: dict[str, Any] = {
  **TORCH_GLOBALS,
  **NUMPY_GLOBALS,
  **_plain_constructors(),
  **_placeholders(),
}
