"""Reader of the pickles inside checkpoints, which cannot execute anything.

Python's unpickler calls the functions that a file names and allocates the memory that a file
states. This reader accepts only the instructions that plain data needs. The name of a function or
class is looked up in a table of inert objects and never imported. A budget that grows with the size
of the file bounds the memory.
"""

import struct
from collections.abc import Callable
from typing import Any

from htc_tf.convert.allowed_globals import find_global, set_state
from htc_tf.convert.inert_objects import Constructor, Placeholder
from htc_tf.convert.stored_array import LongText
from htc_tf.convert.unreadable import NOT_WEIGHTS, UnreadableError

# Longer texts are not decoded: names of tensors are short, and a long text is an array or metadata.
_MAX_TEXT = 1024
_MAX_LINE = 256
_MAX_LONG = 16
# One instruction makes at most about 300 bytes of objects. With this budget, the objects take at
# most 30 MB plus about the size of the file. Real checkpoints have one instruction per several
# thousand bytes.
_FREE_INSTRUCTIONS = 100_000
_BYTES_PER_INSTRUCTION = 256
_BYTES_OF_TEXT_PER_INSTRUCTION = 64
# Integers below this have distinct hashes, so that crafted keys cannot slow a dictionary down.
_MAX_KEY = 2**60

_REFUSED_NAMES = {
  'i': 'INST',
  'o': 'OBJ',
  'P': 'PERSID',
  '\x82': 'EXT1',
  '\x83': 'EXT2',
  '\x84': 'EXT4',
}


class PickleReader:
  """Interpreter of consecutive pickles in a buffer.

  Args:
    data: the buffer.
    load_persistent: function from a persistent id to an object, for formats that store arrays
      outside the pickle.
    file_size: size of the file in bytes, from which the budget is computed.

  Attributes:
    position: first byte of the buffer that is not read yet.
  """

  def __init__(self, data: memoryview, load_persistent: Callable[[Any], Any], file_size: int):
    self.position = 0
    self._data = data
    self._load_persistent = load_persistent
    self._budget = _FREE_INSTRUCTIONS + file_size // _BYTES_PER_INSTRUCTION
    self._reset()

  def read(self) -> Any:
    """The object of the next pickle; `position` moves to the first byte after it.

    Raises:
      UnreadableError: the pickle is malformed, or needs more than plain data and allowed names.
    """
    self._reset()
    while True:
      code = self.take(1)[0]
      self._spend(1)
      if code == ord('.'):
        return self._pop()
      handler = _HANDLERS.get(code)
      if handler is None:
        name = _REFUSED_NAMES.get(chr(code), repr(chr(code)))
        raise UnreadableError(
          f'the pickle has the instruction {name}, which weights do not need', NOT_WEIGHTS
        )
      handler(self)

  def take(self, size: int) -> memoryview:
    """The next `size` bytes of the buffer, inside a pickle or between pickles.

    Raises:
      UnreadableError: the buffer ends earlier.
    """
    end = self.position + size
    if end > len(self._data):
      raise UnreadableError(f'the file ends within an item of {size} bytes')
    taken = self._data[self.position : end]
    self.position = end
    return taken

  def _reset(self) -> None:
    self._stack: list[Any] = []
    self._marked: list[list[Any]] = []
    self._memo: dict[int, Any] = {}

  def _spend(self, instructions: int) -> None:
    self._budget -= instructions
    if self._budget < 0:
      raise UnreadableError(
        'the pickle has too many instructions for a checkpoint of this size', NOT_WEIGHTS
      )

  def _integer(self, layout: str) -> int:
    return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

  def _line(self) -> str:
    window = bytes(self._data[self.position : self.position + _MAX_LINE])
    line, newline, _ = window.partition(b'\n')
    if not newline:
      raise UnreadableError('a name in the pickle does not end')
    self.position += len(line) + 1
    return _decoded(line)

  def _push(self, value: Any) -> None:
    self._stack.append(value)

  def _pop(self) -> Any:
    if not self._stack:
      raise UnreadableError('the pickle takes a value from an empty stack')
    return self._stack.pop()

  def _top(self) -> Any:
    if not self._stack:
      raise UnreadableError('the pickle reads a value from an empty stack')
    return self._stack[-1]

  def _pop_to_mark(self) -> list[Any]:
    if not self._marked:
      raise UnreadableError('the pickle closes a group that was not opened')
    items, self._stack = self._stack, self._marked.pop()
    return items

  def _mark(self) -> None:
    self._marked.append(self._stack)
    self._stack = []

  def _push_text(self, layout: str) -> None:
    payload = self.take(self._integer(layout))
    if len(payload) > _MAX_TEXT:
      self._push(LongText(payload))
      return
    self._spend(len(payload) // _BYTES_OF_TEXT_PER_INSTRUCTION)
    self._push(_decoded(payload))

  def _push_float(self) -> None:
    self._push(struct.unpack('>d', self.take(8))[0])

  def _push_bytes(self, layout: str) -> None:
    self._push(self.take(self._integer(layout)))

  def _push_long(self, layout: str) -> None:
    size = self._integer(layout)
    if not 0 <= size <= _MAX_LONG:
      raise UnreadableError(f'an integer has {size} bytes instead of 0 to {_MAX_LONG}')
    self._push(int.from_bytes(self.take(size), 'little', signed=True))

  def _push_tuple(self, size: int) -> None:
    items = [self._pop() for _ in range(size)]
    self._push(tuple(reversed(items)))

  def _put(self, key: int) -> None:
    self._memo[key] = self._top()

  def _get(self, key: int) -> None:
    if key not in self._memo:
      raise UnreadableError('the pickle recalls a value that was not stored')
    self._push(self._memo[key])

  def _append(self, items: list[Any]) -> None:
    target = self._top()
    if type(target) is list:
      target.extend(items)
    elif not isinstance(target, Placeholder):
      raise UnreadableError('the pickle appends to an object that is not a list')

  def _set_items(self, items: list[Any]) -> None:
    target = self._top()
    if len(items) % 2 or not isinstance(target, (dict, Placeholder)):
      raise UnreadableError(
        'the pickle sets a key without a value, or items of an object that is not a dictionary'
      )
    if isinstance(target, dict):
      for key, value in zip(items[::2], items[1::2]):
        target[_checked_key(key)] = value

  def _make_dict(self) -> None:
    items = self._pop_to_mark()
    self._push({})
    self._set_items(items)

  def _global(self, module: Any, name: Any) -> None:
    if not isinstance(module, str) or not isinstance(name, str):
      raise UnreadableError('a name in the pickle is not text')
    self._push(find_global(module, name))

  def _stack_global(self) -> None:
    name = self._pop()
    self._global(self._pop(), name)

  def _call(self) -> None:
    """Execute REDUCE or NEWOBJ: an inert object makes the result from the arguments."""
    arguments = self._pop()
    target = self._pop()
    if not isinstance(target, (Constructor, Placeholder)) or not isinstance(arguments, tuple):
      raise UnreadableError('the pickle calls an object that is not callable', NOT_WEIGHTS)
    self._push(target.make(arguments))

  def _call_with_keywords(self) -> None:
    """Execute NEWOBJ_EX: only placeholders, which drop arguments, accept keyword arguments."""
    self._pop()
    arguments = self._pop()
    if not isinstance(self._top(), Placeholder):
      raise UnreadableError('the pickle calls a function with keyword arguments', NOT_WEIGHTS)
    self._push(arguments)
    self._call()

  def _build(self) -> None:
    state = self._pop()
    set_state(self._top(), state)

  def _add_to_set(self) -> None:
    """Drop the items of a set, because sets occur only in metadata."""
    self._pop_to_mark()
    self._append([])

  def _frozen_set(self) -> None:
    self._pop_to_mark()
    self._push(Placeholder('frozenset'))


def _decoded(text: bytes | memoryview) -> str:
  try:
    return str(text, 'utf-8')
  except UnicodeDecodeError as error:
    raise UnreadableError('a text in the pickle is not UTF-8') from error


def _checked_key(key: Any) -> Any:
  if key is None or isinstance(key, str) or (isinstance(key, int) and abs(key) < _MAX_KEY):
    return key
  raise UnreadableError(f'a dictionary has a key of type {type(key).__name__}', NOT_WEIGHTS)


# The instructions that weights need, of protocols 2 to 5; any other instruction is refused.
_HANDLERS: dict[int, Callable[[PickleReader], Any]] = {
  ord(code): handler
  for code, handler in {
    '\x80': lambda reader: reader.take(1),  # PROTO
    '\x95': lambda reader: reader.take(8),  # FRAME
    '(': PickleReader._mark,
    '0': PickleReader._pop,
    '1': PickleReader._pop_to_mark,
    'N': lambda reader: reader._push(None),
    '\x88': lambda reader: reader._push(True),
    '\x89': lambda reader: reader._push(False),
    'K': lambda reader: reader._push(reader._integer('<B')),
    'M': lambda reader: reader._push(reader._integer('<H')),
    'J': lambda reader: reader._push(reader._integer('<i')),
    'G': PickleReader._push_float,
    '\x8a': lambda reader: reader._push_long('<B'),
    '\x8b': lambda reader: reader._push_long('<i'),
    'U': lambda reader: reader._push_text('<B'),  # strings of Python 2, as in early torch files
    'T': lambda reader: reader._push_text('<I'),
    '\x8c': lambda reader: reader._push_text('<B'),
    'X': lambda reader: reader._push_text('<I'),
    '\x8d': lambda reader: reader._push_text('<Q'),
    'C': lambda reader: reader._push_bytes('<B'),
    'B': lambda reader: reader._push_bytes('<I'),
    '\x8e': lambda reader: reader._push_bytes('<Q'),
    ')': lambda reader: reader._push(()),
    '\x85': lambda reader: reader._push_tuple(1),
    '\x86': lambda reader: reader._push_tuple(2),
    '\x87': lambda reader: reader._push_tuple(3),
    't': lambda reader: reader._push(tuple(reader._pop_to_mark())),
    ']': lambda reader: reader._push([]),
    'l': lambda reader: reader._push(reader._pop_to_mark()),
    'a': lambda reader: reader._append([reader._pop()]),
    'e': lambda reader: reader._append(reader._pop_to_mark()),
    '}': lambda reader: reader._push({}),
    'd': PickleReader._make_dict,
    's': lambda reader: reader._set_items([reader._pop(), reader._pop()][::-1]),
    'u': lambda reader: reader._set_items(reader._pop_to_mark()),
    '\x8f': lambda reader: reader._push(Placeholder('set')),
    '\x90': PickleReader._add_to_set,
    '\x91': PickleReader._frozen_set,
    'q': lambda reader: reader._put(reader._integer('<B')),
    'r': lambda reader: reader._put(reader._integer('<I')),
    '\x94': lambda reader: reader._put(len(reader._memo)),
    'h': lambda reader: reader._get(reader._integer('<B')),
    'j': lambda reader: reader._get(reader._integer('<I')),
    'c': lambda reader: reader._global(reader._line(), reader._line()),
    '\x93': PickleReader._stack_global,
    'Q': lambda reader: reader._push(reader._load_persistent(reader._pop())),
    'R': PickleReader._call,
    '\x81': PickleReader._call,
    '\x92': PickleReader._call_with_keywords,
    'b': PickleReader._build,
  }.items()
}
