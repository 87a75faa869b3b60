"""Fixtures of all tests: parsed flags, two logical CPU devices, and a check of autograph."""

import sys

import pytest
import tensorflow as tf
from absl import flags
from tensorflow.python.autograph.impl import api

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


@pytest.fixture(autouse=True)
def _no_autograph(monkeypatch):
  """Fail a test in which autograph converts a function of the package.

  No function needs it. A conversion takes time and writes a temporary file.
  """
  converted, convert = [], api._convert_actual

  def record(entity, context):
    if entity.__module__.partition('.')[0] == 'htc_tf':
      converted.append(f'{entity.__module__}.{entity.__qualname__}')
    return convert(entity, context)

  monkeypatch.setattr(api, '_convert_actual', record)
  yield
  assert not converted
