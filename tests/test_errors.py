"""Tests of finding errors of ours behind those of TensorFlow."""

import pytest
import tensorflow as tf

from htc_tf.errors import DataError, TrainingError, stated_message


@pytest.mark.parametrize(
  'error',
  [
    DataError('no data', expected='some', got='None: [nothing]', likely_cause='a test'),
    TrainingError('step 3 failed'),
  ],
)
def test_the_message_comes_out_of_a_graph_as_it_went_in(error):
  def host():
    raise error

  @tf.function
  def run():
    return tf.numpy_function(host, [], tf.bool)

  with pytest.raises(tf.errors.OpError) as raised:
    run()
  assert stated_message(raised.value) == str(error)


def test_other_errors_have_none():
  with pytest.raises(tf.errors.OpError) as raised:
    tf.io.decode_png(b'no image')
  assert stated_message(raised.value) is None
  assert stated_message(ValueError('a DataError without a message')) is None
