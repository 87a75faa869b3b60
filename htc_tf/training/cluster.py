"""What must be so before several processes, the workers, can run together."""

import json
import os

from official.core import config_definitions as cfg

from htc_tf.errors import ConfigError

STRATEGY = 'multi_worker_mirrored'


def check_workers(params: cfg.ExperimentConfig, mode: str) -> None:
  """Raises ConfigError if `TF_CONFIG` does not name the workers, or an option is not theirs."""
  text = os.environ.get('TF_CONFIG', '')
  if not _is_named(text):
    raise ConfigError(
      f'runtime.distribution_strategy={STRATEGY} does not know its workers',
      expected='TF_CONFIG={"cluster": {"worker": ["host0:port", "host1:port"]}, "task": {"type": '
      '"worker", "index": 0}} in the environment, with another index on each',
      got=repr(text),
      likely_cause='not exported to this process; on one machine use mirrored or one_device',
    )
  if mode == 'continuous_eval':
    raise ConfigError(
      '--mode=continuous_eval is not for several workers',
      expected='it in one process beside them, or --mode=eval',
      got=mode,
    )
  if params.trainer.best_checkpoint_export_subdir:
    raise ConfigError(
      'trainer.best_checkpoint_export_subdir is not for several workers',
      expected='none: every '
      'evaluation leaves its figures in results/, and trainer.max_to_keep checkpoints stay',
      got=params.trainer.best_checkpoint_export_subdir,
    )


def _is_named(text: str) -> bool:
  """Whether a `TF_CONFIG` says which of the workers this process is."""
  try:
    content = json.loads(text)
    kind, index = content['task']['type'], content['task']['index']
    return kind in ('chief', 'worker') and 0 <= index < len(content['cluster'][kind])
  except (ValueError, KeyError, TypeError):
    return False


def check_batches(params: cfg.ExperimentConfig, mode: str, num_replicas: int) -> None:
  """Raises ConfigError for a batch that the replicas of all workers cannot share equally."""
  for part, name in (('train', 'train_data'), ('eval', 'validation_data')):
    size = getattr(params.task, name).global_batch_size
    if part in mode and size % num_replicas:
      raise ConfigError(
        f'task.{name}.global_batch_size does not fit the number of replicas',
        expected=f'a multiple of {num_replicas}, the devices of all workers',
        got=str(size),
      )
