"""Decoding of serialized records into tensors."""

import tensorflow as tf

from htc_tf.data import encoded_samples, encoded_size
from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.ops.without_autograph import without_autograph

_SCALARS = {
  'image/encoded': tf.string,
  'image/source_id': tf.string,
  'image/height': tf.int64,
  'image/width': tf.int64,
}
_LISTS = {
  'image/object/bbox/ymin': tf.float32,
  'image/object/bbox/xmin': tf.float32,
  'image/object/bbox/ymax': tf.float32,
  'image/object/bbox/xmax': tf.float32,
  'image/object/class/label': tf.int64,
  'image/object/is_crowd': tf.int64,
}
# Records of RGB images of 8 bits lack these.
_FORMAT = {'image/channels': RGB.num_channels, 'image/bits': RGB.bits}
_MASKS = 'image/object/mask'
_SEMANTIC = 'image/segmentation/class/encoded'


class ExampleDecoder:
  """Decoder of the converter's records; `decode` is a `decoder_fn` of Model Garden's input reader.

  Instance masks stay PNG bytes: the parser decodes the masks that it keeps, one at a time.

  Args:
    include_mask: whether records must hold instance masks.
    include_semantic: whether records must hold a semantic map.
    sample_format: channels and depth that the images must have.
  """

  def __init__(
    self,
    include_mask: bool = True,
    include_semantic: bool = True,
    sample_format: SampleFormat = RGB,
  ):
    self._include_mask = include_mask
    self._include_semantic = include_semantic
    self._sample_format = sample_format
    self._features = {key: tf.io.FixedLenFeature([], dtype) for key, dtype in _SCALARS.items()}
    self._features.update({key: _variable_length(dtype) for key, dtype in _LISTS.items()})
    self._features.update(
      {key: tf.io.FixedLenFeature([], tf.int64, value) for key, value in _FORMAT.items()}
    )
    if include_mask:
      self._features[_MASKS] = _variable_length(tf.string)
    if include_semantic:
      self._features[_SEMANTIC] = tf.io.FixedLenFeature([], tf.string, default_value='')

  @without_autograph
  def decode(self, serialized_example: tf.Tensor) -> dict[str, tf.Tensor]:
    """The tensors of one record.

    Args:
      serialized_example: [] string, a serialized tf.train.Example.

    Returns:
      source_id: [] int64, the image id in the annotations.
      image: [height, width, channels] uint8 or uint16.
      height: [] int64, height of the image in pixels.
      width: [] int64, width of the image in pixels.
      boxes_normalized: [num_instances, 4] float32 yxyx, 0..1 of the original image.
      classes: [num_instances] int32, 1..num_classes-1.
      is_crowd: [num_instances] bool.
      masks_png: [num_instances] string, PNG [height, width] of 0 and 1; only with include_mask.
      semantic: [height, width] uint8, 255 where ignored; only with include_semantic.

    Raises:
      InvalidArgumentError: (when run) the record lacks required masks or the semantic map, or one
        of its images has other channels or bits, cannot be decoded, or has more than
        `images.MAX_PIXELS` pixels.
    """
    parsed = tf.io.parse_single_example(serialized_example, self._features)
    corners = [parsed[f'image/object/bbox/{name}'] for name in ('ymin', 'xmin', 'ymax', 'xmax')]
    decoded = {
      'source_id': tf.strings.to_number(parsed['image/source_id'], tf.int64),
      'image': self._decode_image(parsed),
      'height': parsed['image/height'],
      'width': parsed['image/width'],
      'boxes_normalized': tf.stack(corners, axis=-1),  # [num_instances, 4]
      'classes': tf.cast(parsed['image/object/class/label'], tf.int32),
      'is_crowd': parsed['image/object/is_crowd'] > 0,
    }
    if self._include_mask:
      decoded['masks_png'] = _checked_masks(parsed[_MASKS], decoded['classes'])
    if self._include_semantic:
      decoded['semantic'] = _decode_semantic(parsed[_SEMANTIC])
    return decoded

  def _decode_image(self, parsed: dict[str, tf.Tensor]) -> tf.Tensor:
    """The image [height, width, channels] of a parsed record."""
    message = (
      'The record holds an image of other channels or bits than the model reads, '
      f'{self._sample_format}. Likely cause: the records of another data set; the model reads '
      'task.model.input_size[2] channels of task.model.pixels.bits bits.'
    )
    found = tf.stack([parsed[key] for key in _FORMAT])
    with tf.control_dependencies(
      [tf.debugging.assert_equal(found, tf.constant(self._sample_format, tf.int64), message)]
    ):
      encoded = tf.identity(parsed['image/encoded'])
    encoded = encoded_samples.within_limit(encoded, self._sample_format)
    return encoded_samples.decode(encoded, self._sample_format)


def decode_label_png(encoded: tf.Tensor) -> tf.Tensor:
  """Labels [height, width] uint8 of a one-channel PNG given as [] string."""
  return tf.io.decode_png(encoded_size.within_limit(encoded), channels=1, dtype=tf.uint8)[:, :, 0]


def _variable_length(dtype: tf.DType) -> tf.io.FixedLenSequenceFeature:
  return tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True)


def _checked_masks(masks: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
  message = (
    'The record holds no instance masks. Likely cause: it was converted with --no_masks; '
    'convert the data set again, or train without masks.'
  )
  with tf.control_dependencies(
    [tf.debugging.assert_equal(tf.size(masks), tf.size(classes), message)]
  ):
    return tf.identity(masks)


def _decode_semantic(encoded: tf.Tensor) -> tf.Tensor:
  message = (
    'The record holds no semantic map. Likely cause: it was converted with --semantic=none; '
    'convert the data set again, or train without the semantic branch.'
  )
  with tf.control_dependencies([tf.debugging.assert_positive(tf.strings.length(encoded), message)]):
    return decode_label_png(tf.identity(encoded))
