"""Sizes by header: of real files, and of a header alone."""

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
def test_pixels_by_the_header(kind):
  assert encoded_size.num_pixels(tf.constant(encode(kind))) == 1200
  dataset = tf.data.Dataset.from_tensors(encode(kind)).map(encoded_size.num_pixels)
  assert next(iter(dataset)) == 1200


@pytest.mark.parametrize('content', [b'', b'\x89PNG', encode('PNG')[:14], encode('BMP'), b'text'])
def test_what_is_neither_jpeg_nor_png(content):
  with pytest.raises(tf.errors.InvalidArgumentError):
    encoded_size.num_pixels(tf.constant(content))


def test_the_limit_counts_the_last_pixel():
  def header(height):
    return encode('PNG')[:16] + np.array([10_000, height], '>u4').tobytes()

  assert encoded_size.within_limit(tf.constant(header(5_000))) == header(5_000)
  with pytest.raises(tf.errors.InvalidArgumentError, match='too many pixels'):
    encoded_size.within_limit(tf.constant(header(5_001)))
