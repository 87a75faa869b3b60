"""Encoded pictures to network inputs in a graph, where one that cannot be read fails alone.

The decoding ops of TensorFlow raise on bytes they cannot read, which would fail the whole batch,
and a graph knows no `try`. A tf.data pipeline of one element does: `ignore_errors` drops the
element, and the blank one behind it takes its place.
"""

from typing import Callable, Tuple

import tensorflow as tf

from htc_tf.data import preprocess
from htc_tf.serving import export_format as format_lib
from htc_tf.serving.predictor import HTCPredictor

_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_Element = Tuple[tf.Tensor, tf.Tensor, tf.Tensor]


def picture_of_example(serialized: tf.Tensor) -> tf.Tensor:
  """The encoded picture, [] string, in a serialized tf.train.Example with `image/encoded`."""
  features = {'image/encoded': tf.io.FixedLenFeature([], tf.string)}
  return tf.io.parse_single_example(serialized, features)['image/encoded']


def prepare(elements: tf.Tensor, predictor: HTCPredictor, max_pixels: int,
            picture_of: Callable[[tf.Tensor], tf.Tensor] = tf.identity) -> _Element:
  """Decodes each element and makes it the network input; their sizes may differ.

  Args:
    elements: [batch] string.
    predictor: says how pictures become the network input.
    max_pixels: a picture whose header says more is not decoded.
    picture_of: takes the encoded picture, JPEG or PNG, from an element; may raise when run.

  Returns:
    The network inputs [batch, frame_height, frame_width, 3], their image_info [batch, 4, 2] (see
    `preprocess.image_info`), and error codes [batch] int32: `READ`, `UNREADABLE` or `TOO_LARGE`. A
    picture that was not read is blank, of one pixel.
  """
  blank = lambda code: _blank(predictor, code)

  def attempt(element: tf.Tensor) -> _Element:
    encoded = picture_of(element)
    return tf.cond(_num_pixels(encoded) > max_pixels, lambda: blank(format_lib.TOO_LARGE),
                   lambda: _read(encoded, predictor))

  def attempt_or_blank(element: tf.Tensor) -> _Element:
    tried = tf.data.Dataset.from_tensors(element).map(attempt).ignore_errors()
    otherwise = tf.data.Dataset.from_tensors(blank(format_lib.UNREADABLE))
    return tried.concatenate(otherwise).take(1).with_options(
        _plain_options()).get_single_element()

  # Decoding runs on the CPU, wherever the model is.
  with tf.device('CPU:0'):
    signature = tf.nest.map_structure(tf.type_spec_from_value, blank(format_lib.UNREADABLE))
    return tf.map_fn(attempt_or_blank, elements, fn_output_signature=signature)


def _read(encoded: tf.Tensor, predictor: HTCPredictor) -> _Element:
  """Network input, image_info and `READ` of one encoded picture."""
  inputs, info = predictor.prepare(preprocess.decode_image(encoded))
  # All elements of a batch in the frame that bounds them; the predictor cuts what none needs.
  return preprocess.pad_to(inputs, predictor.frame), info, tf.constant(format_lib.READ)


def _blank(predictor: HTCPredictor, code: int) -> _Element:
  """What stands for a picture that was not read: one black pixel."""
  inputs = tf.zeros([*predictor.frame, 3])
  return inputs, preprocess.image_info([1, 1], [1, 1]), tf.constant(code)


def _num_pixels(encoded: tf.Tensor) -> tf.Tensor:
  """[] int64 the pixels a JPEG or PNG has by its header.

  Raises:
    InvalidArgumentError: (when run) the bytes do not begin as either.
  """
  size = tf.cond(tf.io.is_jpeg(encoded),
                 lambda: tf.io.extract_jpeg_shape(encoded)[:2], lambda: _png_size(encoded))
  return tf.reduce_prod(tf.cast(size, tf.int64))


def _png_size(encoded: tf.Tensor) -> tf.Tensor:
  """[2] int32 width and height, which stand first in a PNG, big end first."""
  begin = tf.strings.substr(encoded, 0, len(_PNG_SIGNATURE))
  chunk = tf.strings.substr(encoded, 12, 4)
  with tf.control_dependencies([tf.debugging.assert_equal(begin, _PNG_SIGNATURE),
                                tf.debugging.assert_equal(chunk, b'IHDR')]):
    size = tf.io.decode_raw(tf.strings.substr(encoded, 16, 8), tf.int32, little_endian=False)
  return tf.ensure_shape(size, [2])


def _plain_options() -> tf.data.Options:
  """No optimisation of a pipeline that is made anew for every picture and yields one element."""
  options = tf.data.Options()
  options.autotune.enabled = False
  options.experimental_optimization.apply_default_optimizations = False
  return options
