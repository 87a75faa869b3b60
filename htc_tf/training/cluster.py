"""Checks of a run in several processes, the workers."""

import json
import os

import tensorflow as tf
from absl import logging
from official.core import config_definitions as cfg

from htc_tf.errors import ConfigError

STRATEGY = 'multi_worker_mirrored'
# Types of the tasks of a cluster that train.
_KINDS = ('chief', 'worker')


def check_workers(params: cfg.ExperimentConfig, mode: str) -> None:
  """Raise ConfigError unless `TF_CONFIG` names the workers, and mode and options suit them."""
  text = os.environ.get('TF_CONFIG', '')
  if not _names_this_worker(text):
    raise ConfigError(
      f'runtime.distribution_strategy={STRATEGY} needs a TF_CONFIG that names the workers',
      expected='TF_CONFIG={"cluster": {"worker": ["host0:port", "host1:port"]}, "task": {"type": '
      '"worker", "index": 0}} in the environment, with a different index for each worker',
      got=repr(text),
      likely_cause='a variable that is not exported to this process; on one machine use mirrored '
      'or one_device',
    )
  if mode == 'continuous_eval':
    raise ConfigError(
      '--mode=continuous_eval does not work with several workers',
      expected='continuous_eval in one additional process, or --mode=eval',
      got=mode,
    )


def check_alone(runtime: cfg.RuntimeConfig, mode: str) -> None:
  """Raise ConfigError if a training would ignore that `TF_CONFIG` names it as one of several.

  Each worker would then train a model of its own, all of them in the same model directory.
  """
  text = os.environ.get('TF_CONFIG', '')
  if 'train' not in mode or not _names_this_worker(text):
    return
  cluster = json.loads(text)['cluster']
  number = sum(len(cluster.get(kind, ())) for kind in _KINDS)
  if number > 1:
    raise ConfigError(
      f'TF_CONFIG names {number} workers, and this run would train alone',
      expected=f'runtime.distribution_strategy={STRATEGY}, or no TF_CONFIG',
      got=runtime.distribution_strategy,
      likely_cause='the default for one machine; set '
      f'--params_override=runtime.distribution_strategy={STRATEGY} on all workers, and batches '
      f'that are multiples of {number}, also task.validation_data.global_batch_size',
    )


def _names_this_worker(text: str) -> bool:
  """Whether a `TF_CONFIG` names the workers and says which of them this process is."""
  try:
    content = json.loads(text)
    kind, index = content['task']['type'], content['task']['index']
    return kind in _KINDS and 0 <= index < len(content['cluster'][kind])
  except (ValueError, KeyError, TypeError):
    return False


def check_batches(params: cfg.ExperimentConfig, mode: str, num_replicas: int) -> None:
  """Raise ConfigError if the replicas of all workers cannot share a batch equally."""
  for part, name in (('train', 'train_data'), ('eval', 'validation_data')):
    size = getattr(params.task, name).global_batch_size
    if part in mode and size % num_replicas:
      raise ConfigError(
        f'task.{name}.global_batch_size does not fit the number of replicas',
        expected=f'a multiple of {num_replicas}, the devices of all workers',
        got=str(size),
        likely_cause='a batch for fewer devices; set '
        f'task.{name}.global_batch_size={-(-size // num_replicas) * num_replicas}',
      )


def check_compiled_norms(params: cfg.ExperimentConfig, mode: str, num_replicas: int) -> None:
  """Raise ConfigError if XLA would have to compile an exchange between replicas."""
  is_synchronized = params.task.model.norm_activation.use_sync_bn
  if 'train' in mode and params.runtime.enable_xla and is_synchronized and num_replicas > 1:
    raise ConfigError(
      'Synchronized batch norms of several replicas cannot be compiled (runtime.enable_xla)',
      expected='runtime.enable_xla=false, or task.model.norm_activation.use_sync_bn=false',
      got=f'both are true, with {num_replicas} replicas',
      likely_cause='a configuration for one device',
    )


def check_devices(config: cfg.RuntimeConfig) -> None:
  """Check that this machine has the GPUs of a run; GPUs that a run leaves out are named in the log.

  Raises:
    ConfigError: there are fewer GPUs than `runtime.num_gpus`, or `one_device` is given several.
  """
  found = len(tf.config.list_physical_devices('GPU'))
  if config.num_gpus > found:
    raise ConfigError(
      'runtime.num_gpus is larger than the number of GPUs that TensorFlow finds',
      expected=f'at most {found}',
      got=str(config.num_gpus),
      likely_cause='a machine with fewer GPUs, CUDA_VISIBLE_DEVICES, a driver that is not '
      'installed, or a TensorFlow without CUDA (pip install tensorflow[and-cuda])',
    )
  if config.distribution_strategy in ('one_device', 'off') and config.num_gpus > 1:
    raise ConfigError(
      f'runtime.distribution_strategy={config.distribution_strategy} uses one device',
      expected='runtime.num_gpus=1, or distribution_strategy=mirrored for several GPUs',
      got=f'num_gpus={config.num_gpus}',
    )
  if not found:
    logging.info('TensorFlow finds no GPU, so this run uses the CPU')
  if config.num_gpus < found:
    logging.warning(
      'This run uses %s, although TensorFlow finds %d GPUs. To use them all, set '
      'runtime.num_gpus=%d.',
      f'{config.num_gpus} GPUs' if config.num_gpus else 'the CPU',
      found,
      found,
    )
