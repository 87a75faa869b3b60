"""Tests of steps compiled per bucket; tests/training/test_distribution.py tests training steps."""

import pytest
import tensorflow as tf

from htc_tf.ops import xla
from htc_tf.tasks.compiled_step import run_compiled

BUCKETS = ((64, 96), (96, 64))


def _batch(height, width):
  """Images, masks and semantic maps in which every byte is 1."""
  return tf.ones([2, height, width, 3]), {
    'gt_masks': tf.ones([2, 5, height, width // 8], tf.uint8),
    'gt_semantic': tf.ones([2, height, width], tf.uint8),
    'source_id': tf.constant([7, 8]),
  }


def _count(batch):
  images, labels = batch
  assert xla.compiling()
  assert images.shape.is_fully_defined() and labels['gt_masks'].shape.is_fully_defined()
  return {
    'images': tf.reduce_sum(images),
    'masks': tf.reduce_sum(tf.cast(labels['gt_masks'], tf.int32)),
    'height': tf.constant(images.shape[1]),
  }


def _step_function(buckets):
  """The compiled step in a graph that is traced without knowing the bucket, as in training."""
  spec = (
    tf.TensorSpec([2, None, None, 3]),
    {
      'gt_masks': tf.TensorSpec([2, 5, None, None], tf.uint8),
      'gt_semantic': tf.TensorSpec([2, None, None], tf.uint8),
      'source_id': tf.TensorSpec([2], tf.int32),
    },
  )
  return tf.function(
    lambda *batch: run_compiled(_count, batch, buckets), input_signature=spec, autograph=False
  )


@pytest.mark.parametrize('buckets', [BUCKETS, BUCKETS[:1]])
def test_every_bucket_gets_a_program_with_static_shapes(buckets):
  run = _step_function(buckets)
  for height, width in buckets:
    result = run(*_batch(height, width))
    assert result['height'] == height
    assert result['images'] == 2 * height * width * 3
    assert result['masks'] == 2 * 5 * height * width // 8


@pytest.mark.parametrize('buckets', [BUCKETS, BUCKETS[:1]])
def test_a_size_that_is_no_bucket_is_an_error(buckets):
  with pytest.raises(tf.errors.InvalidArgumentError):
    _step_function(buckets)(*_batch(64, 64))
