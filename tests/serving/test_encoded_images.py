"""Tests of decoding in a graph; a corrupt image must not affect the others."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from htc_tf.data import preprocess
from htc_tf.data.sample_format import RGB
from htc_tf.serving import encoded_images

_PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
_MAX_PIXELS = 10_000


class _Preparer:
  """Stub for a predictor, which only prepares images."""

  max_hws = ((64, 64),)
  sample_format = RGB

  def prepare(self, images):
    return preprocess.preprocess_image(images, 48, 64, self.max_hws[0])

  def prepare_others(self, images):
    return ()


def _encode(form, pixels=_PIXELS, **options):
  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, format=form, **options)
  return buffer.getvalue()


@pytest.fixture(name='prepare', scope='module')
def _prepare():
  return tf.function(
    lambda elements: encoded_images.prepare(elements, _Preparer(), _MAX_PIXELS),
    autograph=False,
    input_signature=[tf.TensorSpec([None], tf.string)],
  )


def _codes(prepare, elements):
  return prepare(tf.constant(elements))[2].numpy().tolist()


def _mutations(content, header, count, seed):
  """Files that are truncated, or have changed bytes anywhere or in the header."""
  rng = np.random.default_rng(seed)
  for index in range(count):
    mutated = bytearray(content)
    if index % 3 == 0:
      mutated = mutated[: rng.integers(len(mutated))]
    for _ in range(rng.integers(1, 8) if index % 3 else 0):
      mutated[rng.integers(len(mutated) if index % 3 == 1 else header)] = rng.integers(256)
    yield bytes(mutated)


@pytest.mark.parametrize('form', ['PNG', 'JPEG'])
def test_encoded_images_are_prepared_as_their_pixels(prepare, form):
  encoded = _encode(form)
  inputs, info, codes, _ = prepare(tf.constant([encoded]))
  expected, expected_info = _Preparer().prepare(preprocess.decode_image(encoded))
  np.testing.assert_allclose(inputs[0], expected, atol=1e-5)
  np.testing.assert_array_equal(info[0], expected_info)
  assert codes.numpy().tolist() == [0]


@pytest.mark.parametrize('mode', ['L', 'P', 'RGBA', '1', 'LA', 'I;16'])
def test_other_png_color_types_are_read(prepare, mode):
  image = Image.fromarray(_PIXELS).convert('L' if mode == 'I;16' else mode)
  buffer = io.BytesIO()
  (image.convert('I').convert('I;16') if mode == 'I;16' else image).save(buffer, 'PNG')
  assert _codes(prepare, [buffer.getvalue()]) == [0]


def test_gray_and_cmyk_jpeg_are_read(prepare):
  files = []
  for mode in ('L', 'CMYK'):
    buffer = io.BytesIO()
    Image.fromarray(_PIXELS).convert(mode).save(buffer, 'JPEG')
    files.append(buffer.getvalue())
  assert _codes(prepare, files) == [0, 0]


def test_damaged_files_and_other_formats_are_unreadable(prepare):
  png = _encode('PNG')
  bad = [
    b'',
    b'\x00',
    b'hello',
    png[:10],
    png[:20],
    png[:-20],
    png[:500],
    _encode('JPEG')[:-200],
    _encode('BMP'),
    _encode('GIF'),
    _encode('WEBP'),
    b'\xff\xd8\xff',
    b'\x89PNG\r\n\x1a\n',
  ]
  assert _codes(prepare, bad) == [1] * len(bad)


def test_an_unreadable_image_does_not_affect_the_others_of_its_batch(prepare):
  good = [_encode('PNG'), _encode('JPEG', _PIXELS[:20]), _encode('PNG', _PIXELS[:, :10])]
  inputs, info, codes, _ = prepare(
    tf.constant([good[0], b'bad', good[1], _encode('PNG')[:900], good[2]])
  )
  assert codes.numpy().tolist() == [0, 1, 0, 1, 0]
  alone_inputs, alone_info, *_ = prepare(tf.constant(good))
  np.testing.assert_array_equal(inputs.numpy()[[0, 2, 4]], alone_inputs)
  np.testing.assert_array_equal(info.numpy()[[0, 2, 4]], alone_info)
  assert not inputs.numpy()[[1, 3]].any()


@pytest.mark.parametrize('form, header', [('PNG', 33), ('JPEG', 200)])
def test_a_mutated_file_does_not_fail_its_batch(prepare, form, header):
  files = list(_mutations(_encode(form), header, 600, seed=1))
  codes = [
    code
    for start in range(0, 600, 50)
    for code in _codes(prepare, [*files[start : start + 50], _encode(form)])
  ]
  assert codes[50::51] == [0] * 12  # The undamaged file at the end of each batch.
  assert set(codes) == {0, 1, 2}
  assert codes.count(1) > 200


@pytest.mark.parametrize('pixels, code', [((100, 100), 0), ((100, 101), 2), ((1, 20_000), 2)])
@pytest.mark.parametrize('form', ['PNG', 'JPEG'])
def test_an_image_above_the_limit_of_pixels_is_too_large(prepare, form, pixels, code):
  assert _codes(prepare, [_encode(form, np.zeros((*pixels, 3), np.uint8))]) == [code]


def test_a_decompression_bomb_is_not_decoded(prepare):
  # The header states 60,000 x 60,000 pixels, 10.8 GB once decoded.
  header = struct.pack('>IIBBBBB', 60_000, 60_000, 1, 0, 0, 0, 0)

  def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

  png = (
    b'\x89PNG\r\n\x1a\n'
    + chunk(b'IHDR', header)
    + chunk(b'IDAT', zlib.compress(bytes(10_000)))
    + chunk(b'IEND', b'')
  )
  assert _codes(prepare, [png, _encode('PNG')]) == [2, 0]


def test_an_empty_batch_is_prepared(prepare):
  inputs, _, codes, _ = prepare(tf.zeros([0], tf.string))
  assert (inputs.shape, codes.shape) == ((0, 64, 64, 3), (0,))


def test_examples_without_an_image_are_unreadable():
  prepare = tf.function(
    lambda elements: encoded_images.prepare(
      elements, _Preparer(), _MAX_PIXELS, encoded_images.image_of_example
    ),
    autograph=False,
  )
  bytes_list = tf.train.BytesList(value=[_encode('PNG')])
  good = tf.train.Example(
    features=tf.train.Features(feature={'image/encoded': tf.train.Feature(bytes_list=bytes_list)})
  ).SerializeToString()
  empty = tf.train.Example().SerializeToString()
  assert _codes(prepare, [good, empty, b'no example', good[:50]]) == [0, 1, 1, 1]
