"""Images in NPY files, NumPy's format for one array.

Only arrays of unsigned integers of 8 and 16 bits are read. Nothing is unpickled.
"""

import io
import math
import tokenize

import numpy as np
from numpy.lib import format as numpy_format

from htc_tf.data import image_limits
from htc_tf.data.rgb_pixels import UnreadableImageError
from htc_tf.data.sample_format import MAX_CHANNELS

SIGNATURE = b'\x93NUMPY'
_READERS = {
  (1, 0): numpy_format.read_array_header_1_0,
  (2, 0): numpy_format.read_array_header_2_0,
}
_LAYOUT = '[height, width] or [height, width, channels] of uint8 or uint16'


def is_npy(content: bytes) -> bool:
  """Whether the content of a file is that of an NPY file."""
  return content.startswith(SIGNATURE)


def read(content: bytes) -> np.ndarray:
  """The image in an NPY file, [height, width, channels] uint8 or uint16.

  Args:
    content: content of the file: an array [height, width] or [height, width, channels].

  Raises:
    UnreadableImageError: the file is damaged or too large, or its array is of another type or
      shape.
  """
  stream = io.BytesIO(content)
  shape, is_fortran, dtype = _read_header(stream)
  _check_type(dtype)
  _check_shape(shape)
  count = math.prod(shape)
  available = (len(content) - stream.tell()) // dtype.itemsize
  if available < count:
    raise UnreadableImageError(
      'The NPY file is truncated',
      expected=f'{count} samples',
      got=str(available),
      likely_cause='an interrupted copy',
    )
  samples = np.frombuffer(content, dtype, count, stream.tell())
  samples = samples.reshape(shape, order='F' if is_fortran else 'C')
  samples = np.ascontiguousarray(samples, dtype.newbyteorder('='))
  return samples if samples.ndim == 3 else samples[..., np.newaxis]


def write(samples: np.ndarray) -> bytes:
  """The content of an NPY file of [height, width, channels] uint8 or uint16."""
  stream = io.BytesIO()
  little_endian = samples.dtype.newbyteorder('<')
  np.save(stream, np.ascontiguousarray(samples, little_endian), allow_pickle=False)
  return stream.getvalue()


def _read_header(stream: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype]:
  """Shape, whether the first axis changes fastest, and type of the array."""
  try:
    return _READERS[numpy_format.read_magic(stream)](stream)
  except (
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    SyntaxError,
    RecursionError,
    MemoryError,
    OverflowError,
    tokenize.TokenError,
  ) as error:
    raise UnreadableImageError(
      'The header of the NPY file cannot be read',
      expected=f'an array {_LAYOUT}',
      got=str(error).split('\n', 1)[0],
      likely_cause='a damaged file, or an array of Python objects',
    ) from error


def _check_type(dtype: np.dtype) -> None:
  if dtype.kind == 'u' and dtype.itemsize <= 2:
    return
  cause = 'an array for something else than an image'
  if dtype.kind == 'f':
    cause = (
      'measurements, or pixels scaled to 0..1; choose the range that becomes 0..255 or 0..65535, '
      'the same for all images, and convert them with .astype(np.uint8) or .astype(np.uint16)'
    )
  elif dtype.kind in 'iub':
    cause = 'another integer type; if the values fit, convert them with .astype(np.uint16)'
  elif dtype.hasobject:
    cause = 'an array of Python objects, which is not read because it could run code'
  raise UnreadableImageError(
    'The NPY file holds another type than that of an image',
    expected='uint8 or uint16',
    got=str(dtype),
    likely_cause=cause,
  )


def _check_shape(shape: tuple[int, ...]) -> None:
  channels = shape[2] if len(shape) == 3 else 1
  if len(shape) not in (2, 3) or min(shape) < 1:
    raise UnreadableImageError(
      'The NPY file holds no image',
      expected=f'an array {_LAYOUT}, none of which is 0',
      got=str(list(shape)),
      likely_cause='a batch or stack of images; save each one to its own file',
    )
  if channels > min(MAX_CHANNELS, *shape[:2]):
    raise UnreadableImageError(
      'The last axis of the NPY file is too long for channels',
      expected=f'[height, width, channels] with at most {MAX_CHANNELS} channels, and no fewer rows '
      'and columns than channels',
      got=str(list(shape)),
      likely_cause='axes in another order, such as [channels, height, width]; '
      'np.moveaxis(array, 0, -1) puts the channels last',
    )
  image_limits.check_size(shape[0], shape[1], channels)
