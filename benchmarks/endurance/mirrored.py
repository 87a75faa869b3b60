"""The training command on two mirrored CPU devices: `python -m benchmarks.endurance.mirrored`.

Model Garden mirrors only GPUs, so the strategy is chosen here.
"""

from typing import Any

from htc_tf.cli import command, train


def _mirror_two_devices() -> None:
  """Divide the CPU into two devices, which every strategy of this process mirrors."""
  import tensorflow as tf
  from official.common import distribute_utils

  halves = [tf.config.LogicalDeviceConfiguration()] * 2
  tf.config.set_logical_device_configuration(tf.config.list_physical_devices('CPU')[0], halves)

  def strategy(*_: Any, **__: Any) -> tf.distribute.Strategy:
    devices = tf.config.list_logical_devices('CPU')
    return tf.distribute.MirroredStrategy([device.name for device in devices])

  distribute_utils.get_distribution_strategy = strategy


if __name__ == '__main__':
  command.prepare_tensorflow('1')
  _mirror_two_devices()
  train.run()
