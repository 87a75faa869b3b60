"""Encoded pictures to network inputs in a graph, where one that cannot be read fails alone."""

from collections.abc import Callable

import tensorflow as tf

from htc_tf.data import encoded_size, preprocess
from htc_tf.data.attempt import attempt
from htc_tf.serving import export_format as format_lib
from htc_tf.serving.predictor import HTCPredictor

_Element = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


def picture_of_example(serialized: tf.Tensor) -> tf.Tensor:
  """The encoded picture, [] string, in a serialized tf.train.Example with `image/encoded`."""
  features = {'image/encoded': tf.io.FixedLenFeature([], tf.string)}
  return tf.io.parse_single_example(serialized, features)['image/encoded']


def prepare(
  elements: tf.Tensor,
  predictor: HTCPredictor,
  max_pixels: int,
  picture_of: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> _Element:
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

  def blank(code):
    return _blank(predictor, code)

  def read(element: tf.Tensor) -> _Element:
    encoded = picture_of(element)
    return tf.cond(
      encoded_size.num_pixels(encoded) > max_pixels,
      lambda: blank(format_lib.TOO_LARGE),
      lambda: _read(encoded, predictor),
    )

  # Decoding runs on the CPU, wherever the model is.
  with tf.device('CPU:0'):
    signature = tf.nest.map_structure(tf.type_spec_from_value, blank(format_lib.UNREADABLE))
    return tf.map_fn(
      lambda element: attempt(read, element, blank(format_lib.UNREADABLE)),
      elements,
      fn_output_signature=signature,
    )


def _read(encoded: tf.Tensor, predictor: HTCPredictor) -> _Element:
  """Network input, image_info and `READ` of one encoded picture."""
  inputs, info = predictor.prepare(preprocess.decode_image(encoded))
  # All elements of a batch in the frame that bounds them; the predictor cuts what none needs.
  return preprocess.pad_to(inputs, predictor.frame), info, tf.constant(format_lib.READ)


def _blank(predictor: HTCPredictor, code: int) -> _Element:
  """What stands for a picture that was not read: one black pixel."""
  inputs = tf.zeros([*predictor.frame, 3])
  return inputs, preprocess.image_info([1, 1], [1, 1]), tf.constant(code)
