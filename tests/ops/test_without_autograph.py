"""Tests of the decorator against autograph."""

import inspect

import pytest
import tensorflow as tf
import tf_keras
from tensorflow.python.autograph.impl import api

from htc_tf.ops.without_autograph import without_autograph


def double(x):
  return x + x


def quadruple(x, times: int = 2):
  for _ in range(times):
    x = double(x)
  return x


@pytest.fixture(name='converted')
def _converted(monkeypatch):
  """Names of the functions that autograph converts."""
  names, convert = [], api._convert_actual

  def record(entity, context):
    names.append(entity.__name__)
    return convert(entity, context)

  monkeypatch.setattr(api, '_convert_actual', record)
  return names


@pytest.mark.parametrize(
  'function, expected',
  [(quadruple, {'quadruple', 'double'}), (without_autograph(quadruple), set())],
)
def test_neither_the_function_nor_what_it_calls_is_converted(converted, function, expected):
  assert tf.function(function)(tf.constant(1.0)) == 4.0
  assert set(converted) == expected


def test_the_signature_is_kept():
  decorated = without_autograph(quadruple)
  assert inspect.signature(decorated) == inspect.signature(quadruple)
  assert decorated.__name__ == 'quadruple'


def test_keras_passes_only_the_arguments_of_call():
  received = []

  class Layer(tf_keras.layers.Layer):
    @without_autograph
    def call(self, x):
      return 2 * x

  class TrainingLayer(tf_keras.layers.Layer):
    @without_autograph
    def call(self, x, training=None):
      received.append(training)
      return x

  model = tf_keras.Sequential([Layer(), TrainingLayer()])
  assert model(tf.ones([1]), training=True) == 2.0
  assert set(received) == {True}
