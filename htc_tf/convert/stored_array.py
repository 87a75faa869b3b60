"""Arrays as a checkpoint describes them: bytes of a storage, an element type and a checked view.

No memory is allocated for the sizes that a file states. A description is checked when it is made.
Values are built on request, as read-only views of the file's bytes wherever their layout permits.
"""

import dataclasses
import math
import mmap
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from htc_tf.convert.unreadable import UnreadableError

FileData: TypeAlias = bytes | mmap.mmap
ByteOrder: TypeAlias = Literal['<', '>']  # little-endian, big-endian

MAX_RANK = 32
_MAX_SIZE = 2**40


class ElementType(NamedTuple):
  """Type of one stored number.

  Attributes:
    dtype: type as stored, byte order included; for bfloat16 an unsigned integer of two bytes.
    is_bfloat16: whether the two bytes are the upper half of a float32.
  """

  dtype: np.dtype
  is_bfloat16: bool = False

  def with_byte_order(self, order: ByteOrder) -> 'ElementType':
    """The same type in the given byte order."""
    return self._replace(dtype=self.dtype.newbyteorder(order))


def element_type(code: str) -> ElementType:
  """The little-endian element type of a code such as 'f4', 'i8', 'b1' or 'bf2'."""
  if code == 'bf2':
    return ElementType(np.dtype('<u2'), is_bfloat16=True)
  return ElementType(np.dtype(f'<{code}'))


class LongText(NamedTuple):
  """A long text of a pickle, not decoded."""

  utf8: memoryview


class Latin1Bytes(NamedTuple):
  """Bytes that a pickle of protocol 2 stores as text, one character per byte."""

  utf8: memoryview

  def decode(self) -> bytes:
    """The bytes.

    Raises:
      UnreadableError: the text is not UTF-8, or has characters above 255.
    """
    try:
      return str(self.utf8, 'utf-8').encode('latin-1')
    except UnicodeError as error:
      raise UnreadableError('an array stored as text has characters above 255') from error


@dataclasses.dataclass(eq=False)
class Storage:
  """Bytes that one or more arrays view.

  Attributes:
    num_bytes: size that the file states.
    data: the bytes; None until they are found, in formats that store them after the arrays.
  """

  num_bytes: int
  data: memoryview | Latin1Bytes | None = None
  _values: dict[ElementType, np.ndarray] = dataclasses.field(default_factory=dict, repr=False)

  def values(self, element: ElementType) -> np.ndarray:
    """All elements, [num_elements], read-only, in the machine's byte order; bfloat16 as float32."""
    if element not in self._values:
      array = _native(self._raw(), element)
      array.flags.writeable = False
      self._values[element] = array
    return self._values[element]

  def _raw(self) -> bytes | memoryview:
    data = self.data.decode() if isinstance(self.data, Latin1Bytes) else self.data
    if data is None or len(data) != self.num_bytes:
      size = 'none' if data is None else len(data)
      raise UnreadableError(f'a storage states {self.num_bytes} bytes but has {size}')
    return data


def _native(raw: bytes | memoryview, element: ElementType) -> np.ndarray:
  """The elements in `raw`: a view unless byte order, alignment or bfloat16 require a copy."""
  num_elements = len(raw) // element.dtype.itemsize
  stored = np.ndarray((num_elements,), element.dtype, buffer=raw)
  if element.is_bfloat16:
    wide = stored.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)
  if stored.dtype.isnative and stored.flags.aligned:
    return stored
  return stored.astype(stored.dtype.newbyteorder('='))


@dataclasses.dataclass(eq=False)
class StoredArray:
  """An array of a checkpoint before its values are built.

  A pickle first makes a NumPy array and sets its state later; until then the fields are empty.

  Attributes:
    storage: bytes of the array, possibly shared with other arrays.
    element: type of one number.
    shape: size of each axis.
    strides: distance of neighbors along each axis, in elements.
    offset: index of the first element in the storage.
  """

  storage: Storage | None = None
  element: ElementType | None = None
  shape: tuple[int, ...] = ()
  strides: tuple[int, ...] = ()
  offset: int = 0

  def load(self) -> np.ndarray:
    """The values, an array of `shape`, read-only; bfloat16 as float32.

    Raises:
      UnreadableError: the pickle made the array and never set its state.
    """
    if self.storage is None or self.element is None:
      raise UnreadableError('the state of an array is never set')
    values = self.storage.values(self.element)
    if 0 in self.shape:
      return np.zeros(self.shape, values.dtype)
    itemsize = values.itemsize
    return np.ndarray(
      self.shape,
      values.dtype,
      buffer=values,
      offset=self.offset * itemsize,
      strides=[stride * itemsize for stride in self.strides],
    )


def view_of(
  storage: Storage, element: ElementType, shape: Sequence[int], strides: Sequence[int], offset: int
) -> StoredArray:
  """The description of an array in a storage.

  Args:
    storage: bytes of the array.
    element: type of one number.
    shape: size of each axis, as the file states.
    strides: distance of neighbors along each axis, in elements, as the file states.
    offset: index of the first element in the storage, as the file states.

  Raises:
    UnreadableError: a number is not an integer in its range, or the array reaches beyond the
      storage.
  """
  integers = (*shape, *strides, offset)
  if any(type(value) is not int or not 0 <= value < _MAX_SIZE for value in integers):
    raise UnreadableError('a size, stride or offset of a tensor is not an integer in its range')
  if len(shape) != len(strides) or len(shape) > MAX_RANK:
    raise UnreadableError(f'a tensor has {len(shape)} sizes and {len(strides)} strides')
  available = storage.num_bytes // element.dtype.itemsize
  num_elements = math.prod(shape)
  last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides))
  if num_elements and (last >= available or num_elements > available):
    raise UnreadableError(f'a tensor reaches element {last} of a storage of {available}')
  if not num_elements and math.prod(size for size in shape if size) >= _MAX_SIZE:
    raise UnreadableError('the sizes of an empty tensor are too large')
  return StoredArray(storage, element, tuple(shape), tuple(strides), offset)


def contiguous_strides(shape: Sequence[int], fortran: bool = False) -> tuple[int, ...]:
  """Strides, in elements, of an array without gaps, in C order or Fortran order."""
  sizes = tuple(shape) if fortran else tuple(reversed(shape))
  steps = tuple(math.prod(sizes[:axis]) for axis in range(len(sizes)))
  return steps if fortran else tuple(reversed(steps))
