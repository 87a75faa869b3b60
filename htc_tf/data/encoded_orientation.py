"""EXIF orientation of an encoded image, read and applied in a graph.

The rules are those of `exif`, so that an export turns an image as `images.read_image` does.
"""

from collections.abc import Callable

import tensorflow as tf

from htc_tf.data import exif

_JPEG_EXIF_MARKER = 0xE1
_JPEG_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD8))
_JPEG_LAST_MARKERS = (0xD9, 0xDA)  # end of the image, and start of the compressed pixels
_PNG_FIRST_CHUNK = 8
_PNG_EXIF_CHUNK = int.from_bytes(b'eXIf', 'big')
_PNG_CHUNK_BYTES = 12  # of a chunk without content
_ENTRY = 12  # bytes of an entry of EXIF data

# Function from a position to the EXIF data there, or '', and the next position.
_Step = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def orientation_of(encoded: tf.Tensor) -> tf.Tensor:
  """EXIF orientation, [] int64 of 1..8; 1 is upright, and stands for missing and damaged EXIF data.

  Args:
    encoded: [] string, the bytes of a JPEG or PNG.
  """
  data = tf.cond(
    tf.io.is_jpeg(encoded), lambda: _exif_of_jpeg(encoded), lambda: _exif_of_png(encoded)
  )
  return _orientation_in(data)


def turn_upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
  """The upright image.

  Args:
    image: [height, width, channels], as stored.
    orientation: [] int64, the EXIF orientation.

  Returns:
    [height, width, channels]; height and width are exchanged for orientations from 5 on.
  """
  for orientations, change in (
    (exif.EXCHANGING, lambda image: tf.transpose(image, [1, 0, 2])),
    ((2, 3, 6, 7), lambda image: tf.reverse(image, [1])),
    ((3, 4, 7, 8), lambda image: tf.reverse(image, [0])),
  ):
    image = _changed_if(_is_one_of(orientation, orientations), image, change)
  return image


def _changed_if(
  condition: tf.Tensor, image: tf.Tensor, change: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
  return tf.cond(condition, lambda: change(image), lambda: image)


def _is_one_of(value: tf.Tensor, numbers: tuple[int, ...] | range) -> tf.Tensor:
  return tf.reduce_any(value == tf.constant(list(numbers), value.dtype))


def _exif_of_jpeg(encoded: tf.Tensor) -> tf.Tensor:
  """The EXIF data of the first segment that has some, [] string; empty if there is none."""
  end = _length(encoded)

  def step(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    head = _bytes_at(encoded, position, 10)  # 0xFF, marker, length of the segment, HEADER
    values = _values(head, 10)
    marker, size = values[1], tf.maximum(values[2] * 256 + values[3], 2)
    is_exif = (marker == _JPEG_EXIF_MARKER) & (tf.strings.substr(head, 4, 6) == exif.HEADER)
    data = _part_if(is_exif, encoded, position + 10, size - 8)
    following = tf.where(
      _is_one_of(marker, _JPEG_WITHOUT_LENGTH), position + 2, position + 2 + size
    )
    following = tf.where(marker == 0xFF, position + 1, following)  # 0xFF is a fill byte
    is_last = (values[0] != 0xFF) | _is_one_of(marker, _JPEG_LAST_MARKERS)
    return data, tf.where(is_last, end, following)

  return _search(step, tf.constant(2, tf.int64), end)


def _exif_of_png(encoded: tf.Tensor) -> tf.Tensor:
  """The content of the first eXIf chunk, [] string; empty if there is none."""

  def step(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # A large file has thousands of chunks, so few operations read a head: length and type.
    head = tf.strings.substr(encoded, position, 8)
    size, kind = tf.unstack(tf.io.decode_raw(head, tf.int32, little_endian=False), 2)
    size = tf.maximum(tf.cast(size, tf.int64), 0)
    data = _part_if(kind == _PNG_EXIF_CHUNK, encoded, position + 8, size)
    return data, position + _PNG_CHUNK_BYTES + size

  last = _length(encoded) - _PNG_CHUNK_BYTES
  return _search(step, tf.constant(_PNG_FIRST_CHUNK, tf.int64), last + 1)


def _search(step: _Step, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
  """The first data that `step` finds, from `start` on; empty if there is none."""
  _, found = tf.while_loop(
    lambda position, data: (position < end) & (data == b''),
    lambda position, data: step(position)[::-1],
    (start, tf.constant(b'')),
  )
  return found


def _orientation_in(data: tf.Tensor) -> tf.Tensor:
  """EXIF orientation in EXIF data without `exif.HEADER`, [] int64."""
  order = tf.strings.substr(data, 0, 2)
  little = order == b'II'

  def number(position: tf.Tensor | int, length: int) -> tf.Tensor:
    return _number(_values(_bytes_at(data, position, length), length), little)

  directory = number(4, 4)
  num_entries = tf.minimum(
    number(directory, 2), tf.maximum(_length(data) - directory - 2, 0) // _ENTRY
  )
  # An empty entry follows, so that there is at least one.
  content = _bytes_at(data, directory + 2, _ENTRY * (num_entries + 1))
  entries = tf.reshape(_values(content), [-1, _ENTRY]) * tf.cast(
    tf.range(num_entries + 1)[:, tf.newaxis] < num_entries, tf.int64
  )
  first = tf.argmax(_number(entries[:, :2], little) == exif.ORIENTATION_TAG)
  entry = entries[first]
  kind = _number(entry[2:4], little)
  value = tf.where(
    kind == exif.LONG,
    _number(entry[8:12], little),
    tf.where(kind == exif.SHORT, _number(entry[8:10], little), exif.UPRIGHT),
  )
  is_orientation = _number(entry[:2], little) == exif.ORIENTATION_TAG
  is_valid = (little | (order == b'MM')) & is_orientation & (value >= 1) & (value <= 8)
  return tf.where(is_valid, value, exif.UPRIGHT)


def _number(values: tf.Tensor, little: tf.Tensor) -> tf.Tensor:
  """Numbers [...] int64 from bytes [..., length] int64, the smallest first if `little`."""
  weights = [256**index for index in range(values.shape[-1])]
  chosen = tf.where(little, tf.constant(weights, tf.int64), tf.constant(weights[::-1], tf.int64))
  return tf.reduce_sum(values * chosen, -1)


def _values(content: tf.Tensor, length: int | None = None) -> tf.Tensor:
  """The bytes of a string as numbers, [length] int64."""
  return tf.ensure_shape(tf.cast(tf.io.decode_raw(content, tf.uint8), tf.int64), [length])


def _bytes_at(content: tf.Tensor, position: tf.Tensor | int, length: tf.Tensor | int) -> tf.Tensor:
  """A number of bytes from a position, [] string; zeros beyond the end."""
  found = _part(content, position, length)
  length = tf.cast(length, tf.int64)
  missing = length - _length(found)
  zeros = tf.repeat(tf.constant(b'\0'), missing)
  return tf.strings.join([found, tf.strings.reduce_join(zeros)])


def _part(content: tf.Tensor, position: tf.Tensor | int, length: tf.Tensor | int) -> tf.Tensor:
  """At most a number of bytes from a position, [] string."""
  # `substr` raises an error for a position beyond the end.
  start = tf.minimum(tf.cast(position, tf.int64), _length(content))
  return tf.strings.substr(content, start, tf.cast(length, tf.int64))


def _part_if(
  condition: tf.Tensor, content: tf.Tensor, position: tf.Tensor, length: tf.Tensor
) -> tf.Tensor:
  return tf.cond(condition, lambda: _part(content, position, length), lambda: tf.constant(b''))


def _length(content: tf.Tensor) -> tf.Tensor:
  return tf.cast(tf.strings.length(content), tf.int64)
