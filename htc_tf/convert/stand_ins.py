"""What stands in for the functions and classes a checkpoint names: inert, made here, never imported by name.

The tables below are the whole list of allowed names. Names that build arrays give descriptions of arrays; names that
mmdetection and torch leave beside the weights (histories, schedules, dates) give placeholders that drop all they are
told; any other name is refused.
"""

import math
from typing import Any, Callable, Dict, NamedTuple, Tuple

from htc_tf.convert.stored_array import (
    ElementType, Latin1Bytes, LongText, Storage, StoredArray, contiguous_strides, element_type, view_of)
from htc_tf.convert.unreadable import NOT_WEIGHTS, UnreadableError


class Placeholder:
  """An object nobody needs: it takes any construction and any contents, and keeps none.

  Attributes:
    name: what the file calls it.
  """
  __slots__ = ('name',)

  def __init__(self, name: str):
    self.name = name

  def make(self, arguments: Tuple) -> 'Placeholder':
    """What the file would have built by calling it."""
    del arguments
    return Placeholder(self.name)


class Constructor(NamedTuple):
  """An allowed function.

  Attributes:
    name: what the file calls it.
    function: takes the arguments in the file, which it has to check.
    num_arguments: fewest and most arguments.
  """
  name: str
  function: Callable[..., Any]
  num_arguments: Tuple[int, int]

  def make(self, arguments: Tuple) -> Any:
    """What the function makes of `arguments`; raises UnreadableError if they are not its kind."""
    fewest, most = self.num_arguments
    if not fewest <= len(arguments) <= most:
      raise UnreadableError(f'{self.name} takes {fewest} to {most} arguments and got {len(arguments)}')
    return self.function(*arguments)


class TypedStorage(NamedTuple):
  """A storage of torch with the element type its class names."""
  storage: Storage
  element: ElementType


class NumpyDtype:
  """A NumPy element type while the file describes it: first the code, then the byte order."""
  __slots__ = ('element',)

  def __init__(self, element: ElementType):
    self.element = element


def find_global(module: str, name: str) -> Any:
  """The stand-in of an allowed name; raises UnreadableError naming any other."""
  full_name = f'{module}.{name}'
  stand_in = _GLOBALS.get(full_name)
  if stand_in is None:
    shown = full_name if full_name.isprintable() and full_name.isascii() else ascii(full_name)
    raise UnreadableError(f'it asks for {shown}, which no weights need', NOT_WEIGHTS)
  return stand_in


def build_state(target: Any, state: Any):
  """BUILD: tells `target` its state; what nobody needs is dropped, what describes an array is checked."""
  if isinstance(target, StoredArray) and target.storage is None:
    _describe_numpy_array(target, state)
  elif isinstance(target, NumpyDtype):
    _describe_numpy_dtype(target, state)
  elif not isinstance(target, (Placeholder, dict)):  # a dictionary's state is torch's `_metadata`
    raise UnreadableError(f'it sets the state of a {type(target).__name__}', NOT_WEIGHTS)


def _require(condition: bool, reason: str):
  if not condition:
    raise UnreadableError(reason)


# torch ----------------------------------------------------------------------------------------------------------------


def _rebuild_tensor(typed: Any, offset: Any, shape: Any, strides: Any, *unused: Any) -> StoredArray:
  """torch._utils._rebuild_tensor and _rebuild_tensor_v2, which adds whether gradients are wanted, and hooks."""
  del unused
  _require(isinstance(typed, TypedStorage), 'a tensor has no storage')
  _require(isinstance(shape, tuple) and isinstance(strides, tuple), 'a tensor has no sizes')
  return view_of(typed.storage, typed.element, shape, strides, offset)


def _rebuild_tensor_v3(typed: Any, offset: Any, shape: Any, strides: Any, requires_grad: Any, hooks: Any,
                       element: Any, *unused: Any) -> StoredArray:
  """torch._utils._rebuild_tensor_v3: the storage is bytes and the element type is an argument."""
  _require(isinstance(typed, TypedStorage) and isinstance(element, ElementType), 'a tensor has no element type')
  return _rebuild_tensor(TypedStorage(typed.storage, element), offset, shape, strides, requires_grad, hooks, *unused)


def _rebuild_parameter(array: Any, *unused: Any) -> StoredArray:
  """torch._utils._rebuild_parameter: a parameter is its tensor."""
  del unused
  _require(isinstance(array, StoredArray), 'a parameter has no tensor')
  return array


# NumPy ----------------------------------------------------------------------------------------------------------------


def _numpy_array(array_class: Any, shape: Any, code: Any) -> StoredArray:
  """numpy.core.multiarray._reconstruct: announces an array, of which the arguments say nothing yet."""
  del shape, code
  _require(isinstance(array_class, Placeholder) and array_class.name == 'numpy.ndarray', 'an array of no known class')
  return StoredArray()


def _numpy_dtype(code: Any, *unused: Any) -> NumpyDtype:
  """numpy.dtype: numbers and truth values only."""
  del unused
  if not isinstance(code, str) or code not in _NUMPY_CODES:
    shown = ascii(code) if isinstance(code, str) else type(code).__name__
    raise UnreadableError(f'numpy.dtype({shown}) is no number', NOT_WEIGHTS)
  return NumpyDtype(element_type(code))


def _numpy_scalar(dtype: Any, data: Any) -> StoredArray:
  """numpy.core.multiarray.scalar: an array without axes."""
  array = StoredArray()
  _describe_numpy_array(array, (1, (), dtype, False, data))
  return array


def _encode(text: Any, encoding: Any) -> Any:
  """_codecs.encode: how pickles of protocol 2 spell bytes; long ones are decoded when their array is loaded."""
  _require(encoding in ('latin1', 'latin-1'), 'bytes are spelled in an encoding other than latin1')
  if isinstance(text, LongText):
    return Latin1Bytes(text.utf8)
  _require(isinstance(text, str), 'bytes are spelled by what is no text')
  try:
    return memoryview(text.encode('latin-1'))
  except UnicodeEncodeError as error:
    raise UnreadableError('bytes are spelled in characters above 255') from error


def _describe_numpy_array(array: StoredArray, state: Any):
  _require(isinstance(state, tuple) and len(state) == 5, 'a NumPy array has no state')
  _, shape, dtype, is_fortran, data = state
  _require(isinstance(dtype, NumpyDtype) and isinstance(shape, tuple), 'a NumPy array has no type or shape')
  _require(isinstance(data, (memoryview, Latin1Bytes)), 'a NumPy array has no bytes')
  _require(all(type(size) is int and size >= 0 for size in shape) and len(shape) <= 32, 'a NumPy array has no sizes')
  num_bytes = math.prod(shape) * dtype.element.dtype.itemsize
  length = len(data.utf8 if isinstance(data, Latin1Bytes) else data)
  shortest = length // 2 if isinstance(data, Latin1Bytes) else length  # a byte above 127 is two in UTF-8
  _require(shortest <= num_bytes <= length, f'a NumPy array claims {num_bytes} bytes and has {length}')
  view = view_of(Storage(num_bytes, data), dtype.element, shape, contiguous_strides(shape, is_fortran is True), 0)
  vars(array).update(vars(view))


def _describe_numpy_dtype(dtype: NumpyDtype, state: Any):
  _require(isinstance(state, tuple) and len(state) >= 5, 'a NumPy type has no state')
  order = state[1]
  _require(isinstance(order, str) and order in ('<', '>', '|', '='), 'a NumPy type has no byte order')
  _require(state[2:5] == (None, None, None), 'a NumPy type has fields')
  if order == '>':
    dtype.element = dtype.element.with_byte_order('>')


# Plain Python ---------------------------------------------------------------------------------------------------------


def _ordered_dict(pairs: Any = ()) -> Dict:
  """collections.OrderedDict, from nothing or (Python 2) from a list of pairs."""
  _require(isinstance(pairs, (tuple, list)), 'a dictionary is made of no pairs')
  for pair in pairs:
    _require(isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str),
             'a dictionary is made of no pairs')
  return dict(pairs)


def _tuple(items: Any) -> Tuple:
  """tuple, by which paddle.save writes a single tensor as (name, array)."""
  _require(isinstance(items, (tuple, list)) and len(items) <= 2, 'a pair is made of no pair')
  return tuple(items)


def _getattr(target: Any, name: Any) -> Placeholder:
  """getattr, by which mmengine's histories name their own statistics: of placeholders only, and looks nothing up."""
  if not isinstance(target, Placeholder) or target.name != _HISTORY or name not in _STATISTICS:
    raise UnreadableError('it asks for builtins.getattr, which no weights need', NOT_WEIGHTS)
  return Placeholder(_HISTORY)


_NUMPY_CODES = ('f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'b1', 'c8', 'c16')
_TORCH_TYPES = {
    'Double': ('float64', 'f8'), 'Float': ('float32', 'f4'), 'Half': ('float16', 'f2'), 'BFloat16': ('bfloat16', 'bf2'),
    'Long': ('int64', 'i8'), 'Int': ('int32', 'i4'), 'Short': ('int16', 'i2'), 'Char': ('int8', 'i1'),
    'Byte': ('uint8', 'u1'), 'Bool': ('bool', 'b1'),
    'ComplexFloat': ('complex64', 'c8'), 'ComplexDouble': ('complex128', 'c16'),
}
_HISTORY = 'mmengine.logging.history_buffer.HistoryBuffer'
_STATISTICS = ('mean', 'max', 'min', 'current')
# Names that occur beside the weights in files of mmdetection, mmengine, mmcv and torch.
_NOTES = (
    _HISTORY, 'mmengine.config.config.ConfigDict', 'mmengine.config.config.Config', 'mmcv.utils.config.ConfigDict',
    'mmcv.utils.config.Config', 'addict.addict.Dict', 'argparse.Namespace', 'collections.defaultdict',
    'collections.Counter', 'collections.deque', 'datetime.date', 'datetime.datetime', 'datetime.timedelta',
    'numpy.ndarray', 'pathlib.Path', 'pathlib.PosixPath', 'pathlib.PurePosixPath', 'torch.Size', 'torch.device',
)
# Builtin types as values, with their module's names in Python 3 and 2; `make` of a placeholder calls none of them.
_BUILTIN_NOTES = ('set', 'frozenset', 'slice', 'complex', 'list', 'dict', 'int', 'float', 'bool', 'str', 'object')


def _torch_globals() -> Dict[str, Any]:
  names = {}
  for storage, (dtype, code) in _TORCH_TYPES.items():
    names[f'torch.{storage}Storage'] = names[f'torch.{dtype}'] = element_type(code)
  for dtype, code in (('uint16', 'u2'), ('uint32', 'u4'), ('uint64', 'u8')):
    names[f'torch.{dtype}'] = element_type(code)
  names['torch.storage.UntypedStorage'] = names['torch.UntypedStorage'] = element_type('u1')
  return names


def _constructors() -> Dict[str, Constructor]:
  table = {
      'torch._utils._rebuild_tensor': (_rebuild_tensor, (4, 4)),
      'torch._utils._rebuild_tensor_v2': (_rebuild_tensor, (6, 7)),
      'torch._utils._rebuild_tensor_v3': (_rebuild_tensor_v3, (7, 8)),
      'torch._utils._rebuild_parameter': (_rebuild_parameter, (3, 3)),
      'torch._utils._rebuild_parameter_with_state': (_rebuild_parameter, (4, 4)),
      'numpy.dtype': (_numpy_dtype, (1, 3)),
      '_codecs.encode': (_encode, (2, 2)),
      'collections.OrderedDict': (_ordered_dict, (0, 1)),
  }
  for package in ('numpy.core', 'numpy._core'):  # NumPy 1 and 2
    table[f'{package}.multiarray._reconstruct'] = (_numpy_array, (3, 3))
    table[f'{package}.multiarray.scalar'] = (_numpy_scalar, (2, 2))
  for module in ('builtins', '__builtin__'):  # Python 3 and 2
    table[f'{module}.tuple'] = (_tuple, (1, 1))
    table[f'{module}.getattr'] = (_getattr, (2, 2))
  return {name: Constructor(name, function, counts) for name, (function, counts) in table.items()}


def _placeholders() -> Dict[str, Placeholder]:
  builtins = [f'{module}.{name}' for module in ('builtins', '__builtin__') for name in _BUILTIN_NOTES]
  return {name: Placeholder(name) for name in (*_NOTES, *builtins)}


_GLOBALS: Dict[str, Any] = {**_torch_globals(), **_constructors(), **_placeholders()}
