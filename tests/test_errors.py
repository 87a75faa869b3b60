"""Tests of finding the message of an HTCError in an error of TensorFlow."""

import pytest
import tensorflow as tf

from htc_tf.errors import DataError, HTCError, TrainingError, stated_message


class DerivedError(DataError):
  pass


@pytest.mark.parametrize(
  'error',
  [
    DataError('no data', expected='some', got='None: [nothing]', likely_cause='a test'),
    TrainingError('step 3 failed'),
    HTCError('neither data nor training'),
    DerivedError('a class of another module'),
  ],
)
def test_the_message_of_an_error_inside_a_graph_is_found(error):
  def host():
    raise error

  @tf.function(autograph=False)
  def run():
    return tf.numpy_function(host, [], tf.bool)

  with pytest.raises(tf.errors.OpError) as raised:
    run()
  assert stated_message(raised.value) == str(error)


def test_other_errors_have_no_stated_message():
  with pytest.raises(tf.errors.OpError) as raised:
    tf.io.decode_png(b'no image')
  assert stated_message(raised.value) is None
  assert stated_message(ValueError('a DataError without a message')) is None
