"""Inert objects for the names with which torch's files build tensors."""

from typing import Any, NamedTuple

from htc_tf.convert.inert_objects import Constructor, FunctionTable, constructors, require
from htc_tf.convert.stored_array import (
  ByteOrder,
  ElementType,
  Storage,
  StoredArray,
  element_type,
  view_of,
)

# Name of the storage class, name of the dtype, code of the element type.
_TYPES = (
  ('DoubleStorage', 'float64', 'f8'),
  ('FloatStorage', 'float32', 'f4'),
  ('HalfStorage', 'float16', 'f2'),
  ('BFloat16Storage', 'bfloat16', 'bf2'),
  ('LongStorage', 'int64', 'i8'),
  ('IntStorage', 'int32', 'i4'),
  ('ShortStorage', 'int16', 'i2'),
  ('CharStorage', 'int8', 'i1'),
  ('ByteStorage', 'uint8', 'u1'),
  ('BoolStorage', 'bool', 'b1'),
  ('ComplexFloatStorage', 'complex64', 'c8'),
  ('ComplexDoubleStorage', 'complex128', 'c16'),
)
# Types that have no storage class.
_LATER_DTYPES = (('uint16', 'u2'), ('uint32', 'u4'), ('uint64', 'u8'))


class TypedStorage(NamedTuple):
  """A storage of torch.

  Attributes:
    storage: bytes of the storage.
    element: element type that the class of the storage names, in little-endian byte order.
    byte_order: byte order of the file.
  """

  storage: Storage
  element: ElementType
  byte_order: ByteOrder = '<'


def _rebuild_tensor(typed: Any, offset: Any, shape: Any, strides: Any, *unused: Any) -> StoredArray:
  """The tensor of `_rebuild_tensor` or `_rebuild_tensor_v2`.

  The further arguments of `_rebuild_tensor_v2`, requires_grad and hooks, are ignored.
  """
  del unused
  require(isinstance(typed, TypedStorage), 'a tensor has no storage')
  require(isinstance(shape, tuple) and isinstance(strides, tuple), 'a tensor has no sizes')
  element = typed.element.with_byte_order(typed.byte_order)
  return view_of(typed.storage, element, shape, strides, offset)


def _rebuild_tensor_v3(
  typed: Any,
  offset: Any,
  shape: Any,
  strides: Any,
  requires_grad: Any,
  hooks: Any,
  element: Any,
  *unused: Any,
) -> StoredArray:
  """The tensor of `_rebuild_tensor_v3`, which gets an untyped storage and an element type."""
  del requires_grad, hooks, unused
  require(
    isinstance(typed, TypedStorage) and isinstance(element, ElementType),
    'a tensor has no element type',
  )
  return _rebuild_tensor(typed._replace(element=element), offset, shape, strides)


def _rebuild_parameter(array: Any, *unused: Any) -> StoredArray:
  """The tensor of a parameter; everything else about the parameter is ignored."""
  del unused
  require(isinstance(array, StoredArray), 'a parameter has no tensor')
  return array


def _element_types() -> dict[str, ElementType]:
  types = {}
  for storage, dtype, code in _TYPES:
    types[f'torch.{storage}'] = types[f'torch.{dtype}'] = element_type(code)
  for dtype, code in _LATER_DTYPES:
    types[f'torch.{dtype}'] = element_type(code)
  for module in ('torch', 'torch.storage'):
    types[f'{module}.UntypedStorage'] = element_type('u1')
  return types


def _torch_constructors() -> dict[str, Constructor]:
  functions: FunctionTable = {
    '_rebuild_tensor': (_rebuild_tensor, (4, 4)),
    '_rebuild_tensor_v2': (_rebuild_tensor, (6, 7)),
    '_rebuild_tensor_v3': (_rebuild_tensor_v3, (7, 8)),
    '_rebuild_parameter': (_rebuild_parameter, (3, 3)),
    '_rebuild_parameter_with_state': (_rebuild_parameter, (4, 4)),
  }
  return constructors({f'torch._utils.{name}': entry for name, entry in functions.items()})


TORCH_GLOBALS: dict[str, Any] = {**_element_types(), **_torch_constructors()}
