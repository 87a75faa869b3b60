"""Tests of decoding records, eagerly and in tf.data."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from htc_tf.data import example_decoder


def serialized(coco, **options):
  """Serialized records by image id."""
  coco.convert(**options)
  decoder = example_decoder.ExampleDecoder(False, False)
  paths = sorted(str(path) for path in coco.output.glob('*.tfrecord'))
  return {
    int(decoder.decode(record)['source_id']): record for record in tf.data.TFRecordDataset(paths)
  }


@pytest.fixture(name='records')
def _records(coco):
  """Serialized records with masks and semantic maps, by image id."""
  return serialized(coco, semantic='instances')


def test_types_and_shapes(records):
  decoded = example_decoder.ExampleDecoder().decode(records[7])
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


def test_tf_data_gives_the_same_as_eager(records):
  decoder = example_decoder.ExampleDecoder()
  dataset = tf.data.Dataset.from_tensor_slices(list(records.values())).map(decoder.decode)
  assert dataset.element_spec['image'].shape.as_list() == [None, None, 3]
  for in_dataset, record in zip(dataset, records.values()):
    for key, value in decoder.decode(record).items():
      np.testing.assert_array_equal(in_dataset[key], value)


def test_an_image_without_instances(records):
  decoded = example_decoder.ExampleDecoder().decode(records[12])
  assert decoded['boxes_normalized'].shape == (0, 4)
  assert decoded['masks_png'].shape == (0,)


def test_records_without_required_masks_or_semantic_map_are_refused(coco):
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


def test_images_with_too_many_pixels_are_refused_by_their_header(records):
  buffer = io.BytesIO()
  Image.new('1', (8000, 6251)).save(buffer, format='PNG')
  for key in ('image/encoded', 'image/segmentation/class/encoded'):
    example = tf.train.Example.FromString(records[7].numpy())
    example.features.feature[key].bytes_list.value[0] = buffer.getvalue()
    with pytest.raises(tf.errors.InvalidArgumentError, match='too many pixels'):
      example_decoder.ExampleDecoder().decode(tf.constant(example.SerializeToString()))
