"""Tests of attempts, eagerly and inside tf.data."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data.attempt import attempt


def numbers(element):
  """As many as the text says, and their sum in another structure; raises for other text."""
  count = tf.strings.to_number(element['text'], tf.int32)
  values = tf.range(count)
  return {'values': values, 'fixed': tf.fill([2], count), 'more': (tf.reduce_sum(values), 'read')}


def results(texts, inside, **blank):
  elements = [{'text': tf.constant(text)} for text in texts]
  if not inside:
    return [attempt(numbers, element, **blank) for element in elements]
  dataset = tf.data.Dataset.from_tensor_slices({'text': texts})
  dataset = dataset.map(lambda element: attempt(numbers, element, **blank), num_parallel_calls=2)
  assert dataset.element_spec['values'].shape.as_list() == [None]
  assert dataset.element_spec['fixed'].shape == [2]
  return list(dataset)


@pytest.mark.parametrize('inside', [False, True])
def test_a_blank_takes_the_place_of_what_raises(inside):
  first, broken, last = results(['3', 'x', '0'], inside)
  np.testing.assert_array_equal(first['values'], [0, 1, 2])
  assert [value.numpy() for value in first['more']] == [3, b'read']
  assert broken['values'].shape == (0,)
  np.testing.assert_array_equal(broken['fixed'], [0, 0])
  assert [value.numpy() for value in broken['more']] == [0, b'']
  assert last['values'].shape == (0,) and last['more'][1] == b'read'


@pytest.mark.parametrize('inside', [False, True])
def test_a_blank_that_is_given(inside):
  blank = {
    'values': tf.constant([7]),
    'fixed': tf.constant([8, 9]),
    'more': (tf.constant(-1), tf.constant('blank')),
  }
  read, broken = results(['1', ''], inside, blank=blank)
  assert read['more'][1] == b'read'
  assert broken['values'].numpy().tolist() == [7] and broken['more'][1] == b'blank'
