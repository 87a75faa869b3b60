"""Tests of the pixel count that the header of an image gives."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from htc_tf.data import encoded_size


def encode(kind, size=(40, 30)):
  buffer = io.BytesIO()
  Image.new('RGB', size).save(buffer, format=kind)
  return buffer.getvalue()


@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
def test_the_header_gives_the_number_of_pixels(kind):
  assert encoded_size.num_pixels(tf.constant(encode(kind))) == 1200
  num_pixels = tf.autograph.experimental.do_not_convert(encoded_size.num_pixels)
  dataset = tf.data.Dataset.from_tensors(encode(kind)).map(num_pixels)
  assert next(iter(dataset)) == 1200


@pytest.mark.parametrize('content', [b'', b'\x89PNG', encode('PNG')[:14], encode('BMP'), b'text'])
def test_files_that_are_neither_jpeg_nor_png_are_refused(content):
  with pytest.raises(tf.errors.InvalidArgumentError):
    encoded_size.num_pixels(tf.constant(content))


def test_the_limit_is_the_largest_allowed_number_of_pixels():
  def header(height):
    return encode('PNG')[:16] + np.array([10_000, height], '>u4').tobytes()

  assert encoded_size.within_limit(tf.constant(header(5_000))) == header(5_000)
  with pytest.raises(tf.errors.InvalidArgumentError, match='too many pixels'):
    encoded_size.within_limit(tf.constant(header(5_001)))
