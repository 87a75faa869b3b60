"""Tests that EXIF orientations are read the same way in Python and in a graph."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from htc_tf.data import encoded_orientation, exif

_PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
_graph_orientation = tf.function(
  encoded_orientation.orientation_of,
  autograph=False,
  input_signature=[tf.TensorSpec([], tf.string)],
)


def _file(form, orientation, order):
  """A file with three EXIF entries; the orientation is the second one."""
  data = Image.Exif()
  data.endian = order
  data.update({0x010E: 'a description', 0x0112: orientation, 0x8298: 'an owner'})
  buffer = io.BytesIO()
  Image.fromarray(_PIXELS).save(buffer, form, exif=data)
  return buffer.getvalue()


@pytest.mark.parametrize('form', ['JPEG', 'PNG'])
@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('orientation', [0, 1, 2, 6, 8, 9, 65_535])
def test_the_orientation_of_a_file_is_found(form, order, orientation):
  encoded = _file(form, orientation, order)
  expected = orientation if orientation in range(1, 9) else 1
  assert exif.orientation_of(Image.open(io.BytesIO(encoded))) == expected
  assert int(_graph_orientation(encoded)) == expected


@pytest.mark.parametrize('markers', [b'\xff\xd0', b'\xff\xd7\xff\xd3', b'\xff\x01'])
def test_markers_without_a_length_are_passed(markers):
  """Pillow, as other readers, knows only some of them."""
  encoded = _file('JPEG', 6, '<')
  assert int(_graph_orientation(encoded[:2] + markers + encoded[2:])) == 6


def test_fill_bytes_before_a_marker_are_passed():
  encoded = _file('JPEG', 6, '<')
  assert int(_graph_orientation(encoded[:2] + b'\xff\xff' + encoded[2:])) == 6


def test_damaged_data_has_the_same_orientation_in_python_and_in_a_graph():
  rng = np.random.default_rng(1)
  likely = [0, 1, 2, 3, 4, 6, 8, 0x12, 0xFF, *b'IM']
  found = []
  for index in range(400):
    encoded = bytearray(_file('PNG', 6, '<>'[index % 2]))
    start = encoded.index(b'eXIf') + 4
    for position in rng.integers(0, 44, rng.integers(1, 4)):
      encoded[start + position] = rng.choice(likely)
    length = int.from_bytes(encoded[start - 8 : start - 4], 'big')
    found.append(exif.orientation_in(bytes(encoded[start : start + length])))
    assert int(_graph_orientation(bytes(encoded))) == found[-1]
  assert found.count(6) > 50 and found.count(1) > 50


@pytest.mark.parametrize(
  'content', [b'', b'\xff\xd8', b'\xff\xd8\xff\xe1', b'\x89PNG\r\n\x1a\n', b'a']
)
def test_a_file_that_ends_early_is_upright(content):
  assert int(_graph_orientation(content)) == 1


def test_truncated_data_is_upright_in_python_and_in_a_graph():
  encoded = _file('JPEG', 6, '<')
  start = encoded.index(exif.HEADER)
  for end in range(start, start + 60):
    expected = exif.orientation_in(encoded[start:end])
    assert int(_graph_orientation(encoded[:end])) == expected


def test_a_segment_before_the_data_and_fill_bytes_are_skipped():
  encoded = _file('JPEG', 8, '>')
  comment = b'\xff\xff\xff\xfe\0\x06abcd'
  assert int(_graph_orientation(encoded[:2] + comment + encoded[2:])) == 8
