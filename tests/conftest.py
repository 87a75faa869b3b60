"""What all tests share: parsed flags, and two logical CPU devices for a test of replicas."""

import sys

import pytest
import tensorflow as tf
from absl import flags

# Before anything runs: afterwards TensorFlow refuses to change its devices.
tf.config.set_logical_device_configuration(
  tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(scope='session', autouse=True)
def parsed_flags():
  """Absl refuses to read flags that were not parsed; Model Garden reads some of its own."""
  if not flags.FLAGS.is_parsed():
    flags.FLAGS(sys.argv[:1])


@pytest.fixture(scope='session', name='two_replicas')
def _two_replicas():
  """The strategy of all tests in this process.

  A second one would number its collectives from the same start, and TensorFlow take an operation of
  one for an operation of the other.
  """
  devices = tf.config.list_logical_devices('CPU')
  strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
  assert strategy.num_replicas_in_sync == 2
  return strategy
