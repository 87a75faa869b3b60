"""Warm-up requests, which TensorFlow Serving answers before it makes a version available.

The first request to a signature is slow: it builds executors and, on a GPU, selects kernels.
"""

import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from htc_tf import file_systems
from htc_tf.data.images import image_from_pixels
from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.errors import missing_package

WARMUP_FILE = os.path.join('assets.extra', 'tf_serving_warmup_requests')

_LONG_SIDE, _SHORT_SIDE = 640, 480


def check_available() -> None:
  """Raise ConfigError if tensorflow-serving-api, which defines the requests, is missing."""
  try:
    import tensorflow_serving.apis  # noqa: F401
  except ImportError as error:
    raise missing_package(
      'Warm-up requests cannot be written; an export without them can (--no_warmup)',
      'tensorflow-serving-api',
      'serving',
      error,
    ) from error


def write_requests(folder: str, sample_format: SampleFormat = RGB) -> None:
  """Write requests to every signature into the file `WARMUP_FILE` of an export.

  Args:
    folder: folder of the SavedModel.
    sample_format: channels and depth of the images.

  Raises:
    ConfigError: tensorflow-serving-api is missing.
  """
  check_available()
  path = os.path.join(folder, WARMUP_FILE)
  file_systems.make_folders(file_systems.dirname(path))
  with tf.io.TFRecordWriter(path) as writer:
    for record in _records(sample_format):
      writer.write(record)


def _records(sample_format: SampleFormat) -> Iterator[bytes]:
  """Serialized PredictionLogs: a landscape image per signature, a portrait for `image_bytes`."""
  from tensorflow_serving.apis import prediction_log_pb2

  landscape, portrait = (
    _image(height, width, sample_format)
    for height, width in ((_SHORT_SIDE, _LONG_SIDE), (_LONG_SIDE, _SHORT_SIDE))
  )
  encoded = [_encoded(image, sample_format) for image in (landscape, portrait)]
  example = tf.train.Example(
    features=tf.train.Features(
      feature={'image/encoded': tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded[:1]))}
    )
  )
  for signature, inputs in (
    ('image_bytes', encoded[:1]),
    ('image_bytes', encoded[1:]),
    ('serving_default', landscape[np.newaxis]),
    ('tf_example', [example.SerializeToString()]),
  ):
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = 'htc'  # The field is required; a warm-up ignores it.
    request.model_spec.signature_name = signature
    request.inputs['inputs'].CopyFrom(tf.make_tensor_proto(inputs))
    yield log.SerializeToString()


def _encoded(image: np.ndarray, sample_format: SampleFormat) -> bytes:
  if sample_format.is_rgb:
    return tf.io.encode_jpeg(image).numpy()
  return image_from_pixels(image).encoded(sample_format=sample_format).content


def _image(height: int, width: int, sample_format: SampleFormat) -> np.ndarray:
  """[height, width, channels]; brightness increases downwards and to the right."""
  brightness = np.add.outer(np.linspace(0, 127, height), np.linspace(0, 127, width))
  if sample_format.bits > 8:
    brightness = brightness * 257
  repeated = np.repeat(brightness[..., np.newaxis], sample_format.num_channels, axis=2)
  return repeated.astype(sample_format.dtype)
