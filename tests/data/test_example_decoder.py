"""Tests of decoding records, eagerly and inside tf.data."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from htc_tf.data import example_decoder


def serialized(coco, **options):
  """Records by image id, still serialized."""
  coco.convert(**options)
  decoder = example_decoder.ExampleDecoder(False, False)
  paths = sorted(str(path) for path in coco.output.glob('*.tfrecord'))
  return {
    int(decoder.decode(record)['source_id']): record for record in tf.data.TFRecordDataset(paths)
  }


@pytest.fixture
def with_semantic(coco):
  return serialized(coco, semantic='instances')


def test_types_and_shapes(with_semantic):
  decoded = example_decoder.ExampleDecoder().decode(with_semantic[7])
  expected = {
    'source_id': ((), tf.int64),
    'image': ((24, 40, 3), tf.uint8),
    'height': ((), tf.int64),
    'width': ((), tf.int64),
    'boxes_normalized': ((3, 4), tf.float32),
    'classes': ((3,), tf.int32),
    'is_crowd': ((3,), tf.bool),
    'masks_png': ((3,), tf.string),
    'semantic': ((24, 40), tf.uint8),
  }
  assert {key: (tuple(value.shape), value.dtype) for key, value in decoded.items()} == expected


def test_tf_data_gives_the_same_as_eager(with_semantic):
  decoder = example_decoder.ExampleDecoder()
  dataset = tf.data.Dataset.from_tensor_slices(list(with_semantic.values())).map(decoder.decode)
  assert dataset.element_spec['image'].shape.as_list() == [None, None, 3]
  for inside, record in zip(dataset, with_semantic.values()):
    for key, value in decoder.decode(record).items():
      np.testing.assert_array_equal(inside[key], value)


def test_image_without_instances(with_semantic):
  decoded = example_decoder.ExampleDecoder().decode(with_semantic[12])
  assert decoded['boxes_normalized'].shape == (0, 4)
  assert decoded['masks_png'].shape == (0,)


def test_records_without_what_is_asked_for(coco):
  record = serialized(coco, include_masks=False)[7]
  with pytest.raises(tf.errors.InvalidArgumentError, match=r'no instance masks.*--no_masks'):
    example_decoder.ExampleDecoder(True, False).decode(record)
  with pytest.raises(tf.errors.InvalidArgumentError, match=r'no semantic map.*--semantic=none'):
    example_decoder.ExampleDecoder(False, True).decode(record)
  dataset = tf.data.Dataset.from_tensors(record).map(
    example_decoder.ExampleDecoder(False, True).decode
  )
  with pytest.raises(tf.errors.InvalidArgumentError, match=r'no semantic map.*--semantic=none'):
    next(iter(dataset))


def test_pictures_of_too_many_pixels_are_refused_by_their_header(with_semantic):
  buffer = io.BytesIO()
  Image.new('1', (8000, 6251)).save(buffer, format='PNG')
  for key in ('image/encoded', 'image/segmentation/class/encoded'):
    example = tf.train.Example.FromString(with_semantic[7].numpy())
    example.features.feature[key].bytes_list.value[0] = buffer.getvalue()
    with pytest.raises(tf.errors.InvalidArgumentError, match='too many pixels'):
      example_decoder.ExampleDecoder().decode(tf.constant(example.SerializeToString()))
