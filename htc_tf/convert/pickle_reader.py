"""Reads the pickles inside checkpoints without the means to run anything.

Python's own unpickler calls what a file names and allocates what a file claims. This one knows
only the instructions that plain data needs; a named function or class is looked up in a table of
stand-ins and never imported, and memory is bounded by a budget that grows with the file.
"""

import struct
from collections.abc import Callable
from typing import Any

from htc_tf.convert.allowed_globals import find_global, set_state
from htc_tf.convert.stand_ins import Constructor, Placeholder
from htc_tf.convert.stored_array import LongText
from htc_tf.convert.unreadable import NOT_WEIGHTS, UnreadableError

# Longer texts stay undecoded: names of tensors are short, and what is long is an array or a note.
_MAX_TEXT = 1024
_MAX_LINE = 256
_MAX_LONG = 16
# An instruction makes at most some 300 bytes of objects, so a file takes 30 MB and about its own
# size at most. A real checkpoint has one instruction in several thousand bytes.
_FREE_INSTRUCTIONS = 100_000
_BYTES_PER_INSTRUCTION = 256
_BYTES_OF_TEXT_PER_INSTRUCTION = 64
# Whole numbers below have distinct hashes, so that crafted keys cannot slow a dictionary down.
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
  """Interpreter of one pickle after another in a buffer.

  Args:
    data: the buffer.
    load_persistent: persistent id -> object, for formats that store arrays outside the pickle.
    file_size: size of the whole file, which the budget follows.

  Attributes:
    position: the first byte of the buffer not read yet.
  """

  def __init__(self, data: memoryview, load_persistent: Callable[[Any], Any], file_size: int):
    self.position = 0
    self._data = data
    self._load_persistent = load_persistent
    self._budget = _FREE_INSTRUCTIONS + file_size // _BYTES_PER_INSTRUCTION
    self._reset()

  def read(self) -> Any:
    """Returns the object of the next pickle and leaves `position` behind it."""
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
          f'it has the pickle instruction {name}, which no weights need', NOT_WEIGHTS
        )
      handler(self)

  def take(self, size: int) -> memoryview:
    """The next `size` bytes of the buffer: of an instruction, or what stands between pickles."""
    end = self.position + size
    if end > len(self._data):
      raise UnreadableError(f'it ends within an item of {size} bytes')
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
        'its pickle has more instructions than a checkpoint of its size', NOT_WEIGHTS
      )

  def _number(self, layout: str) -> int | float:
    return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

  def _line(self) -> str:
    window = bytes(self._data[self.position : self.position + _MAX_LINE])
    line, newline, _ = window.partition(b'\n')
    if not newline:
      raise UnreadableError('a name in its pickle does not end')
    self.position += len(line) + 1
    return _decoded(line)

  def _push(self, value: Any) -> None:
    self._stack.append(value)

  def _pop(self) -> Any:
    if not self._stack:
      raise UnreadableError('its pickle takes a value that is not there')
    return self._stack.pop()

  def _top(self) -> Any:
    if not self._stack:
      raise UnreadableError('its pickle uses a value that is not there')
    return self._stack[-1]

  def _pop_to_mark(self) -> list[Any]:
    if not self._marked:
      raise UnreadableError('its pickle closes a group that was not opened')
    items, self._stack = self._stack, self._marked.pop()
    return items

  def _mark(self) -> None:
    self._marked.append(self._stack)
    self._stack = []

  def _push_text(self, layout: str) -> None:
    payload = self.take(self._number(layout))
    if len(payload) > _MAX_TEXT:
      self._push(LongText(payload))
      return
    self._spend(len(payload) // _BYTES_OF_TEXT_PER_INSTRUCTION)
    self._push(_decoded(payload))

  def _push_bytes(self, layout: str) -> None:
    self._push(self.take(self._number(layout)))

  def _push_long(self, layout: str) -> None:
    size = self._number(layout)
    if not 0 <= size <= _MAX_LONG:
      raise UnreadableError(f'a whole number of {size} bytes')
    self._push(int.from_bytes(self.take(size), 'little', signed=True))

  def _push_tuple(self, size: int) -> None:
    items = [self._pop() for _ in range(size)]
    self._push(tuple(reversed(items)))

  def _put(self, key: int) -> None:
    self._memo[key] = self._top()

  def _get(self, key: int) -> None:
    if key not in self._memo:
      raise UnreadableError('its pickle recalls a value that was not kept')
    self._push(self._memo[key])

  def _append(self, items: list[Any]) -> None:
    target = self._top()
    if type(target) is list:
      target.extend(items)
    elif not isinstance(target, Placeholder):
      raise UnreadableError('its pickle appends to what is no list')

  def _set_items(self, items: list[Any]) -> None:
    target = self._top()
    if len(items) % 2 or not isinstance(target, (dict, Placeholder)):
      raise UnreadableError('its pickle sets entries of what is no dictionary')
    if isinstance(target, dict):
      for key, value in zip(items[::2], items[1::2]):
        target[_checked_key(key)] = value

  def _make_dict(self) -> None:
    items = self._pop_to_mark()
    self._push({})
    self._set_items(items)

  def _global(self, module: Any, name: Any) -> None:
    if not isinstance(module, str) or not isinstance(name, str):
      raise UnreadableError('a name in its pickle is no text')
    self._push(find_global(module, name))

  def _stack_global(self) -> None:
    name = self._pop()
    self._global(self._pop(), name)

  def _call(self) -> None:
    """REDUCE and NEWOBJ: makes what a stand-in makes of the arguments."""
    arguments = self._pop()
    target = self._pop()
    if not isinstance(target, (Constructor, Placeholder)) or not isinstance(arguments, tuple):
      raise UnreadableError('its pickle calls what cannot be called', NOT_WEIGHTS)
    self._push(target.make(arguments))

  def _call_with_keywords(self) -> None:
    """NEWOBJ_EX: only placeholders, which drop their arguments, may have keywords."""
    self._pop()
    arguments = self._pop()
    if not isinstance(self._top(), Placeholder):
      raise UnreadableError('its pickle calls by keyword', NOT_WEIGHTS)
    self._push(arguments)
    self._call()

  def _build(self) -> None:
    state = self._pop()
    set_state(self._top(), state)

  def _add_to_set(self) -> None:
    """Sets occur in notes alone: what they hold is dropped."""
    self._pop_to_mark()
    self._append([])

  def _frozen_set(self) -> None:
    self._pop_to_mark()
    self._push(Placeholder('frozenset'))


def _decoded(text) -> str:
  try:
    return str(text, 'utf-8')
  except UnicodeDecodeError as error:
    raise UnreadableError('a name in its pickle is not UTF-8') from error


def _checked_key(key: Any) -> Any:
  if key is None or isinstance(key, str) or (isinstance(key, int) and abs(key) < _MAX_KEY):
    return key
  raise UnreadableError(f'a dictionary has a key of type {type(key).__name__}', NOT_WEIGHTS)


# The instructions of the pickle format that weights need, protocols 2 to 5; any other is refused.
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
    'K': lambda reader: reader._push(reader._number('<B')),
    'M': lambda reader: reader._push(reader._number('<H')),
    'J': lambda reader: reader._push(reader._number('<i')),
    'G': lambda reader: reader._push(reader._number('>d')),
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
    'q': lambda reader: reader._put(reader._number('<B')),
    'r': lambda reader: reader._put(reader._number('<I')),
    '\x94': lambda reader: reader._put(len(reader._memo)),
    'h': lambda reader: reader._get(reader._number('<B')),
    'j': lambda reader: reader._get(reader._number('<I')),
    'c': lambda reader: reader._global(reader._line(), reader._line()),
    '\x93': PickleReader._stack_global,
    'Q': lambda reader: reader._push(reader._load_persistent(reader._pop())),
    'R': PickleReader._call,
    '\x81': PickleReader._call,
    '\x92': PickleReader._call_with_keywords,
    'b': PickleReader._build,
  }.items()
}
