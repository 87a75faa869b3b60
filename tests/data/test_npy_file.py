"""Tests of images in NPY files: what is read, and what is refused with its cause."""

import io

import numpy as np
import pytest

from htc_tf.data import images, npy_file
from htc_tf.data.sample_format import SampleFormat

SAMPLES = np.arange(8 * 9 * 6, dtype=np.uint16).reshape(8, 9, 6) * 151


def saved(array, **options):
  buffer = io.BytesIO()
  np.save(buffer, array, **options)
  return buffer.getvalue()


@pytest.mark.parametrize(
  'array',
  [
    SAMPLES,
    SAMPLES.astype('>u2'),
    np.asfortranarray(SAMPLES),
    SAMPLES.astype(np.uint8),
    SAMPLES[..., 0],
    SAMPLES[..., :1],
  ],
  ids=['16 bits', 'big-endian', 'Fortran', '8 bits', 'gray', 'one channel'],
)
def test_the_array_is_the_image(array, tmp_path):
  (tmp_path / 'a.npy').write_bytes(saved(array))
  source = images.read_image(tmp_path / 'a.npy')
  expected = array.reshape(8, 9, -1)
  assert source.sample_format == SampleFormat(expected.shape[2], 8 * array.itemsize)
  found = source.samples(source.sample_format)
  np.testing.assert_array_equal(found, expected)
  assert found.dtype.isnative and source.size == (8, 9)


def test_gray_and_three_channels_become_rgb():
  gray = images.read_image(saved(SAMPLES[..., 0])).pixels()
  expected = np.floor(SAMPLES[..., :1] / 257 + 0.5).astype(np.uint8)
  np.testing.assert_array_equal(gray, np.repeat(expected, 3, axis=2))
  rgb = images.read_image(saved(SAMPLES[..., :3].astype(np.uint8))).pixels()
  np.testing.assert_array_equal(rgb, SAMPLES[..., :3].astype(np.uint8))
  with pytest.raises(images.UnreadableImageError, match=r'4 channels.*--channels=keep'):
    images.read_image(saved(SAMPLES[..., :4])).pixels()


class _Harmful:
  """An object whose unpickling would end the test with another error."""

  def __reduce__(self):
    return (SystemExit, ('unpickled',))


REFUSED = {
  'floats': (saved(SAMPLES / 65535), r'float64.*0\.\.1.*astype'),
  'float32': (saved(SAMPLES.astype(np.float32)), 'float32'),
  'int64': (saved(SAMPLES.astype(np.int64)), r'int64.*uint16'),
  'bool': (saved(SAMPLES > 5), 'bool'),
  'objects': (saved(np.array([[_Harmful()]]), allow_pickle=True), 'Python objects'),
  'records': (saved(np.zeros([4, 4], [('a', 'u1')])), 'another type'),
  'one axis': (saved(SAMPLES.reshape(-1)), r'no image.*\[432\]'),
  'batch': (saved(SAMPLES[np.newaxis]), r'no image.*\[1, 8, 9, 6\].*stack'),
  'empty': (saved(SAMPLES[:0]), r'no image.*\[0, 9, 6\]'),
  'channels first': (saved(SAMPLES.transpose(2, 0, 1)), r'\[6, 8, 9\].*moveaxis'),
  'stack': (saved(np.zeros([100, 90, 80], np.uint8)), r'too long for channels.*\[100, 90, 80\]'),
  'truncated': (saved(SAMPLES)[:-1], r'truncated.*432.*431'),
  'header': (saved(SAMPLES)[:40], 'header'),
  'version': (saved(SAMPLES)[:6] + b'\x09' + saved(SAMPLES)[7:], 'header'),
  'code': (saved(SAMPLES).replace(b'(8, 9, 6)', b'exit(999)'), 'header'),
}


@pytest.mark.parametrize('content, message', REFUSED.values(), ids=REFUSED)
def test_other_arrays_are_refused_with_the_cause(content, message):
  with pytest.raises(images.UnreadableImageError, match=message):
    images.read_image(content)


@pytest.mark.parametrize('shape', [(6000, 10_000), (2000, 5000, 16)])
def test_a_file_too_large_is_refused_before_its_samples_are_read(shape):
  header = saved(np.zeros([1, 1, 1], np.uint8)).split(b'{')[0]
  text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + '\n'
  with pytest.raises(images.UnreadableImageError, match=r'too many (pixels|samples)'):
    images.read_image(header + text.encode())


def test_written_files_are_those_of_numpy():
  assert npy_file.write(SAMPLES) == saved(SAMPLES)
