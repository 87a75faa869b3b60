"""Fixtures of all tests: parsed flags, two logical CPU devices, and a check of autograph."""

import signal
import sys

import pytest
import tensorflow as tf
from absl import flags
from tensorflow.python.autograph.impl import api

# This must precede every operation, because TensorFlow cannot change its devices afterwards.
tf.config.set_logical_device_configuration(
  tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

# A shell starts what it runs in the background with SIGINT ignored, and processes inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
  signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope='session', autouse=True)
def parsed_flags():
  """Parse absl's flags: Model Garden reads some of them, which fails before they are parsed."""
  if not flags.FLAGS.is_parsed():
    flags.FLAGS(sys.argv[:1])


@pytest.fixture(scope='session', name='two_replicas')
def _two_replicas():
  """The strategy of all tests in this process.

  A second strategy would number its collectives from the same start, and TensorFlow would confuse
  the operations of the two strategies.
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
