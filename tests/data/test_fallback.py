"""Tests of ops with a fallback, eagerly and in tf.data."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data.fallback import run_or_fallback


def numbers(element):
  """The numbers below the number in a text, and their sum, nested; raises for other texts."""
  count = tf.strings.to_number(element['text'], tf.int32)
  values = tf.range(count)
  return {'values': values, 'fixed': tf.fill([2], count), 'more': (tf.reduce_sum(values), 'read')}


def results(texts, in_dataset, **fallback):
  elements = [{'text': tf.constant(text)} for text in texts]
  if not in_dataset:
    return [run_or_fallback(numbers, element, **fallback) for element in elements]

  @tf.autograph.experimental.do_not_convert
  def run(element):
    return run_or_fallback(numbers, element, **fallback)

  dataset = tf.data.Dataset.from_tensor_slices({'text': texts}).map(run, num_parallel_calls=2)
  assert dataset.element_spec['values'].shape.as_list() == [None]
  assert dataset.element_spec['fixed'].shape == [2]
  return list(dataset)


@pytest.mark.parametrize('in_dataset', [False, True])
def test_zeros_replace_a_result_that_raises(in_dataset):
  first, broken, last = results(['3', 'x', '0'], in_dataset)
  np.testing.assert_array_equal(first['values'], [0, 1, 2])
  assert [value.numpy() for value in first['more']] == [3, b'read']
  assert broken['values'].shape == (0,)
  np.testing.assert_array_equal(broken['fixed'], [0, 0])
  assert [value.numpy() for value in broken['more']] == [0, b'']
  assert last['values'].shape == (0,) and last['more'][1] == b'read'


@pytest.mark.parametrize('in_dataset', [False, True])
def test_a_given_fallback_replaces_a_result_that_raises(in_dataset):
  fallback = {
    'values': tf.constant([7]),
    'fixed': tf.constant([8, 9]),
    'more': (tf.constant(-1), tf.constant('fallback')),
  }
  read, broken = results(['1', ''], in_dataset, fallback=fallback)
  assert read['more'][1] == b'read'
  assert broken['values'].numpy().tolist() == [7] and broken['more'][1] == b'fallback'
