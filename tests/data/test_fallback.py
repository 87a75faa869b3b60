"""Tests of ops with a fallback, eagerly and inside tf.data."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data.fallback import run_or_fallback


def numbers(element):
  """As many as the text says, and their sum in another structure; raises for other text."""
  count = tf.strings.to_number(element['text'], tf.int32)
  values = tf.range(count)
  return {'values': values, 'fixed': tf.fill([2], count), 'more': (tf.reduce_sum(values), 'read')}


def results(texts, inside, **fallback):
  elements = [{'text': tf.constant(text)} for text in texts]
  if not inside:
    return [run_or_fallback(numbers, element, **fallback) for element in elements]
  dataset = tf.data.Dataset.from_tensor_slices({'text': texts})
  dataset = dataset.map(
    lambda element: run_or_fallback(numbers, element, **fallback), num_parallel_calls=2
  )
  assert dataset.element_spec['values'].shape.as_list() == [None]
  assert dataset.element_spec['fixed'].shape == [2]
  return list(dataset)


@pytest.mark.parametrize('inside', [False, True])
def test_zeros_replace_what_raises(inside):
  first, broken, last = results(['3', 'x', '0'], inside)
  np.testing.assert_array_equal(first['values'], [0, 1, 2])
  assert [value.numpy() for value in first['more']] == [3, b'read']
  assert broken['values'].shape == (0,)
  np.testing.assert_array_equal(broken['fixed'], [0, 0])
  assert [value.numpy() for value in broken['more']] == [0, b'']
  assert last['values'].shape == (0,) and last['more'][1] == b'read'


@pytest.mark.parametrize('inside', [False, True])
def test_a_given_fallback(inside):
  fallback = {
    'values': tf.constant([7]),
    'fixed': tf.constant([8, 9]),
    'more': (tf.constant(-1), tf.constant('fallback')),
  }
  read, broken = results(['1', ''], inside, fallback=fallback)
  assert read['more'][1] == b'read'
  assert broken['values'].numpy().tolist() == [7] and broken['more'][1] == b'fallback'
