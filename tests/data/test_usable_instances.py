"""Tests of the selection of instances to train on, eagerly and in tf.data."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data.skipped import CLIPPED, INSTANCES, KINDS, OVER_LIMIT, SkipCounter
from htc_tf.data.usable_instances import usable_instances

NAN, INF = float('nan'), float('inf')
# In this order: intact; NaN, no height, across two borders, outside, infinite, negative height;
# class 0, class too large; across a border by a rounding error.
BOXES = [
  [0.1, 0.2, 0.3, 0.4],
  [NAN, 0, 1, 1],
  [0.5, 0.5, 0.5, 0.9],
  [-0.5, 0, 0.5, 2],
  [1.1, 0, 1.5, 1],
  [0, 0, INF, 1],
  [0.9, 0.1, 0.2, 0.5],
  [0, 0, 1, 1],
  [0, 0, 1, 1],
  [0, 0, 1, 1.0001],
]
CLASSES = [1, 1, 1, 2, 1, 1, 1, 0, 3, 2]
USABLE = [0, 3, 9]
NUM_CLASSES = 3


def record_with(boxes, classes, is_crowd=None):
  number = len(classes)
  return {
    'source_id': tf.constant(7, tf.int64),
    'image': tf.zeros([2, 2, 3], tf.uint8),
    'boxes_normalized': tf.reshape(tf.constant(boxes, tf.float32), [number, 4]),
    'classes': tf.constant(classes, tf.int32),
    'is_crowd': tf.range(number) % 2 == 1 if is_crowd is None else tf.constant(is_crowd),
    'masks_png': tf.strings.as_string(tf.range(number)),
  }


def select(decoded, counter, in_dataset, max_num_instances=100):
  @tf.autograph.experimental.do_not_convert
  def function(item):
    return usable_instances(item, NUM_CLASSES, max_num_instances, counter)

  if not in_dataset:
    return function(decoded)
  return next(iter(tf.data.Dataset.from_tensors(decoded).map(function)))


@pytest.mark.parametrize('in_dataset', [False, True])
def test_unusable_instances_are_skipped_and_counted(in_dataset, caplog):
  counter = SkipCounter()
  found = select(record_with(BOXES, CLASSES), counter, in_dataset)
  np.testing.assert_array_equal(found['boxes_normalized'], np.clip(np.float32(BOXES)[USABLE], 0, 1))
  assert found['masks_png'].numpy().tolist() == [b'0', b'3', b'9']
  assert found['classes'].numpy().tolist() == [1, 2, 2]
  assert found['is_crowd'].numpy().tolist() == [False, True, True]
  assert found['image'].shape == (2, 2, 3)
  assert {kind: counter.count(kind) for kind in KINDS if counter.count(kind)} == {
    INSTANCES: 7,
    CLIPPED: 1,
  }
  assert 'image id 7: 7 instances' in caplog.text


@pytest.mark.parametrize('in_dataset', [False, True])
def test_a_record_without_instances(in_dataset):
  counter = SkipCounter()
  found = select(record_with([], []), counter, in_dataset)
  assert found['boxes_normalized'].shape == (0, 4) and found['masks_png'].shape == (0,)
  assert not any(map(counter.count, KINDS))


@pytest.mark.parametrize('in_dataset', [False, True])
@pytest.mark.parametrize('num_crowds', [0, 3])
def test_instances_beyond_the_limit_are_counted_without_crowds(in_dataset, num_crowds, caplog):
  """They are only counted; the parser, which crops, drops the instances beyond the limit."""
  counter = SkipCounter()
  is_crowd = [index < num_crowds for index in range(1000)]
  found = select(record_with([BOXES[0]] * 1000, [1] * 1000, is_crowd), counter, in_dataset)
  assert found['classes'].shape == (1000,)
  assert {kind: counter.count(kind) for kind in KINDS if counter.count(kind)} == {
    OVER_LIMIT: 900 - num_crowds
  }
  assert f'{900 - num_crowds} instances beyond parser.max_num_instances' in caplog.text
