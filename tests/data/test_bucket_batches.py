"""Tests of batching by bucket: no image is lost or repeated; a batch has images of one bucket."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data.bucket_batches import batch_by_bucket
from htc_tf.data.padding import padding_rule
from htc_tf.errors import ConfigError

BUCKETS = padding_rule([(32, 64), (64, 32), (64, 64)], (64, 64))
ONE_BUCKET = padding_rule([(64, 64)], (64, 64))
NO_BUCKETS = padding_rule([], (128, 128))
# Padded sizes of the elements, in order; the stored images are twice as large.
SIZES = [
  (32, 64),
  (64, 32),
  (32, 64),
  (64, 64),
  (32, 96),
  (64, 32),
  (32, 64),
  (96, 32),
  (64, 64),
  (64, 32),
  (32, 64),
]
BUCKET_SIZES = [(min(h, 64), min(w, 64)) for h, w in SIZES]


def elements(sizes):
  """A data set of numbered elements in the form of the parser, filled with their number."""

  def make():
    for number, (height, width) in enumerate(sizes, 1):
      yield (
        np.full([height, width, 3], number, np.float32),
        {
          'image_info': np.float32([[2 * height, 2 * width], [height, width], [1, 1], [0, 0]]),
          'source_id': np.int64(number),
          'gt_boxes': np.full([2, 4], number, np.float32),
          'gt_masks': np.full([2, height, width // 8], number, np.uint8),
          'gt_semantic': np.full([height, width], number, np.uint8),
        },
      )

  shapes = {
    'image_info': [4, 2],
    'source_id': [],
    'gt_boxes': [2, 4],
    'gt_masks': [2, None, None],
    'gt_semantic': [None, None],
  }
  dtypes = {'source_id': tf.int64, 'gt_masks': tf.uint8, 'gt_semantic': tf.uint8}
  return tf.data.Dataset.from_generator(
    make,
    output_signature=(
      tf.TensorSpec([None, None, 3]),
      {key: tf.TensorSpec(shape, dtypes.get(key, tf.float32)) for key, shape in shapes.items()},
    ),
  )


def batches(sizes, rule, batch_size=2, drop_remainder=False, context=None):
  dataset = batch_by_bucket(rule, batch_size, drop_remainder)(elements(sizes), context)
  return list(dataset.as_numpy_iterator())


def numbers(found):
  return [number for _, labels in found for number in labels['source_id'].tolist()]


@pytest.mark.parametrize('rule,sizes', [(BUCKETS, BUCKET_SIZES), (NO_BUCKETS, SIZES)])
@pytest.mark.parametrize('batch_size', [1, 2, 3, 20])
def test_every_image_occurs_once(rule, sizes, batch_size):
  found = batches(sizes, rule, batch_size)
  assert sorted(numbers(found)) == list(range(1, len(sizes) + 1))


@pytest.mark.parametrize('batch_size', [1, 2, 3])
def test_all_images_of_a_batch_are_of_one_bucket(batch_size):
  for images, labels in batches(BUCKET_SIZES, BUCKETS, batch_size):
    assert {BUCKET_SIZES[number - 1] for number in labels['source_id']} == {images.shape[1:3]}
    np.testing.assert_array_equal(images[:, -1, -1, 0], labels['source_id'])


def test_incomplete_batches_are_dropped_with_drop_remainder():
  found = batches(BUCKET_SIZES, BUCKETS, 2, drop_remainder=True)
  assert all(len(images) == 2 for images, _ in found)
  counts = collections.Counter(BUCKET_SIZES)
  assert len(found) == sum(count // 2 for count in counts.values())


def test_without_buckets_all_images_of_a_batch_have_one_orientation():
  for images, labels in batches(SIZES, NO_BUCKETS, 3):
    sizes = np.array([SIZES[number - 1] for number in labels['source_id']])
    portrait = sizes[:, 0] > sizes[:, 1]
    assert portrait.all() or not portrait.any()
    assert images.shape[1:3] == tuple(sizes.max(axis=0))


def test_without_buckets_images_and_labels_are_padded_to_the_largest_of_the_batch():
  images, labels = batches([(32, 64), (64, 96)], NO_BUCKETS)[0]
  assert images.shape == (2, 64, 96, 3)
  np.testing.assert_array_equal(images[0, :32, :64], 1)
  assert not images[0, 32:].any() and not images[0, :, 64:].any()
  assert labels['gt_masks'].shape == (2, 2, 64, 12)
  assert (labels['gt_masks'][0, :, :32, :8] == 1).all()
  assert not labels['gt_masks'][0, :, 32:].any() and not labels['gt_masks'][0, :, :, 8:].any()
  assert (labels['gt_semantic'][0, :32, :64] == 1).all()
  assert (labels['gt_semantic'][0, 32:] == 255).all()
  assert (labels['gt_semantic'][0, :, 64:] == 255).all()
  assert (labels['gt_semantic'][1] == 2).all()


def test_the_replicas_share_the_global_batch():
  context = tf.distribute.InputContext(
    num_input_pipelines=2, input_pipeline_id=1, num_replicas_in_sync=4
  )
  for rule in (BUCKETS, NO_BUCKETS):
    found = batches(BUCKET_SIZES, rule, 8, drop_remainder=True, context=context)
    assert found and all(len(images) == 2 for images, _ in found)


@pytest.mark.parametrize('rule', [ONE_BUCKET, BUCKETS, NO_BUCKETS])
def test_a_batch_that_cannot_be_shared_equally_is_refused(rule):
  context = tf.distribute.InputContext(num_replicas_in_sync=3)
  with pytest.raises(ConfigError, match=r'shared equally.*multiple of 3 replicas.*Got: 4'):
    batches(SIZES, rule, batch_size=4, context=context)


def test_a_single_bucket_keeps_the_order_and_static_shapes():
  dataset = tf.data.Dataset.from_tensors((tf.zeros([64, 64, 3]), {'source_id': 5})).repeat(5)
  batched = batch_by_bucket(ONE_BUCKET, 2, True)(dataset)
  assert batched.element_spec[0].shape == (2, 64, 64, 3)
  assert numbers(batches([(64, 64)] * 5, ONE_BUCKET)) == [1, 2, 3, 4, 5]


def test_a_repeated_data_set_loses_no_image():
  """Images that wait at the end of a pass are batched in the next pass."""
  for rule, sizes in ((BUCKETS, BUCKET_SIZES), (NO_BUCKETS, SIZES)):
    dataset = batch_by_bucket(rule, 2, True)(elements(sizes).repeat(2))
    counts = collections.Counter(numbers(dataset.as_numpy_iterator()))
    num_waiting = 2 * len(sizes) - sum(counts.values())
    assert set(counts) == set(range(1, len(sizes) + 1)) and max(counts.values()) == 2
    assert num_waiting <= len(set(sizes))
