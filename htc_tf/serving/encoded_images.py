"""Network inputs from encoded images in a graph; unreadable images do not affect the others.

The pixels of a JPEG or PNG file are those of `images.read_image`: upright by the EXIF orientation,
samples of 16 bits divided by 257, palettes resolved, CMYK converted, alpha dropped. Files of other
formats (BMP, GIF, WebP, TIFF) are `UNREADABLE`, as are files that only Pillow can decode, such as a
PNG file without an end; the client sends them as PNG.

A model of other images than RGB of 8 bits reads the files of `encoded_samples`, NPY files among
them. Files of other channels or another depth have the code `OTHER_CHANNELS`.
"""

from collections.abc import Callable

import tensorflow as tf

from htc_tf.data import encoded_orientation, encoded_samples, preprocess
from htc_tf.data.fallback import run_or_fallback
from htc_tf.data.sample_format import SampleFormat
from htc_tf.ops.without_autograph import without_autograph
from htc_tf.serving import export_format as format_lib
from htc_tf.serving.predictor import HTCPredictor, Prepared

_Element = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tuple[Prepared, ...]]


def image_of_example(serialized: tf.Tensor) -> tf.Tensor:
  """The encoded image, [] string, in a serialized tf.train.Example with `image/encoded`."""
  features = {'image/encoded': tf.io.FixedLenFeature([], tf.string)}
  return tf.io.parse_single_example(serialized, features)['image/encoded']


@without_autograph
def prepare(
  elements: tf.Tensor,
  predictor: HTCPredictor,
  max_pixels: int,
  image_of: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> _Element:
  """Network inputs of encoded images; their sizes may differ.

  Args:
    elements: [batch] string.
    predictor: model that prepares images.
    max_pixels: an image whose header states more pixels is not decoded.
    image_of: function from an element to the encoded image; its ops may raise.

  Returns:
    The network inputs [batch, padded_height, padded_width, channels], their image_info [batch, 4,
    2] (see `preprocess.image_info`), error codes [batch] int32: `READ`, `UNREADABLE`, `TOO_LARGE`
    or `OTHER_CHANNELS`, and network inputs and image_info at the other scales of the predictor. An
    image that was not read is replaced by one black pixel.
  """
  sample_format = predictor.sample_format

  def read_if_small(encoded: tf.Tensor) -> _Element:
    return tf.cond(
      encoded_samples.num_pixels(encoded, sample_format) > max_pixels,
      lambda: _fallback(predictor, format_lib.TOO_LARGE),
      lambda: _read(encoded, predictor),
    )

  def read(element: tf.Tensor) -> _Element:
    encoded = image_of(element)
    if sample_format.is_rgb:
      return read_if_small(encoded)
    return tf.cond(
      encoded_samples.has_format(encoded, sample_format),
      lambda: read_if_small(encoded),
      lambda: _fallback(predictor, _code_of_other(encoded, sample_format)),
    )

  # Images are decoded on the CPU, wherever the model is.
  with tf.device('CPU:0'):
    unreadable = _fallback(predictor, format_lib.UNREADABLE)
    return tf.map_fn(
      lambda element: run_or_fallback(read, element, _fallback(predictor, format_lib.UNREADABLE)),
      elements,
      fn_output_signature=tf.nest.map_structure(tf.type_spec_from_value, unreadable),
    )


def _read(encoded: tf.Tensor, predictor: HTCPredictor) -> _Element:
  """Network input, image_info and `READ` of one encoded image."""
  sample_format = predictor.sample_format
  image = encoded_samples.decode(encoded, sample_format)
  image = encoded_orientation.turn_upright(
    image, encoded_samples.orientation_of(encoded, sample_format)
  )
  image = tf.ensure_shape(image, [None, None, sample_format.num_channels])
  scaled = zip((predictor.prepare(image), *predictor.prepare_others(image)), predictor.max_hws)
  # map_fn stacks only elements of one size; `detect_prepared` crops padding that no image needs.
  (inputs, info), *others = [
    (preprocess.pad_to(inputs, max_hw), info) for (inputs, info), max_hw in scaled
  ]
  return inputs, info, tf.constant(format_lib.READ), tuple(others)


def _code_of_other(encoded: tf.Tensor, sample_format: SampleFormat) -> tf.Tensor:
  """The error code of a file that has not the format of the model, [] int32."""
  num_pixels = encoded_samples.num_pixels(encoded, sample_format)  # Raises for no image at all.
  with tf.control_dependencies([num_pixels]):
    return tf.constant(format_lib.OTHER_CHANNELS)


def _fallback(predictor: HTCPredictor, code: int | tf.Tensor) -> _Element:
  """The element that replaces an image that was not read: one black pixel."""
  info = preprocess.image_info([1, 1], [1, 1])
  num_channels = predictor.sample_format.num_channels
  inputs, *others = [tf.zeros([*max_hw, num_channels]) for max_hw in predictor.max_hws]
  return inputs, info, tf.convert_to_tensor(code), tuple((other, info) for other in others)
