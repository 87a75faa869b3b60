"""Tests of repeat-factor sampling, against the formula of LVIS."""

import collections
import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data.repeat_factors import category_factors, repeat_records
from htc_tf.data.tolerant_reading import RECORD_KEY, as_element


def record(number, labels, crowds=None):
  """A serialized record with objects of some labels, known by its number."""

  def integers(values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

  features = {
    'number': integers([number]),
    'image/object/class/label': integers(labels),
    'image/object/is_crowd': integers(crowds or [0] * len(labels)),
  }
  return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def counts(records, factors, epochs=1, seed=3, buffer_size=1):
  """How often each record is read in some epochs, and the order."""
  dataset = tf.data.Dataset.from_tensor_slices(records).map(as_element).repeat(epochs)
  repeated = repeat_records(factors, buffer_size, seed)(dataset)
  order = [element[RECORD_KEY] for element in repeated.as_numpy_iterator()]
  found = collections.Counter(order)
  return [found[item] for item in records], order


def test_factors_follow_the_formula():
  """Classes in 100, 10, 1 and 0 of 100 images with threshold 0.25."""
  factors = category_factors([100, 10, 1, 0], 100, 0.25)
  assert factors == pytest.approx([1, 1, math.sqrt(2.5), 5, 1])


def test_an_image_has_the_largest_factor_of_its_classes():
  factors = [1.0, 1.0, 2.0, 4.0]
  records = [record(0, [1]), record(1, [1, 2, 2]), record(2, [3, 1, 2]), record(3, [])]
  assert counts(records, factors)[0] == [1, 2, 4, 1]


def test_crowds_and_unknown_labels_do_not_count():
  records = [record(0, [1, 2], [0, 1]), record(1, [7, 1]), record(2, [-1])]
  assert counts(records, [1.0, 1.0, 4.0])[0] == [1, 1, 1]


def test_fractions_are_frequencies():
  factors = category_factors([100, 10], 100, 0.25)
  records = [record(0, [1]), record(1, [2])]
  found, _ = counts(records, factors, epochs=500)
  assert found[0] == 500
  assert found[1] / 500 == pytest.approx(math.sqrt(2.5), abs=0.07)


def test_copies_depend_on_the_seed_alone_and_are_shuffled():
  records = [record(number, [1 + number % 2]) for number in range(30)]
  first, second, other = (counts(records, [1, 1, 2.5], 1, seed, 50)[1] for seed in (3, 3, 4))
  assert first == second != other
  neighbors = sum(one == two for one, two in itertools.pairwise(first))
  assert neighbors < 10  # Of about 22 copies.


def test_a_record_that_cannot_be_parsed_is_passed_on_once():
  records = [b'broken', record(1, [2])]
  assert counts(records, [1.0, 1.0, 3.0])[0] == [1, 3]


def test_records_of_a_converted_data_set_are_read(coco):
  coco.convert(semantic='none')
  shards = sorted(str(path) for path in coco.output.glob('*.tfrecord'))
  records = list(tf.data.TFRecordDataset(shards).as_numpy_iterator())
  found, _ = counts(records, [1.0, 2.0, 2.0])
  empty = [
    not tf.train.Example.FromString(item)
    .features.feature['image/object/class/label']
    .int64_list.value
    for item in records
  ]
  np.testing.assert_array_equal(found, np.where(empty, 1, 2))
