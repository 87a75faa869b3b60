"""Training records in whole permutations, where configuration and files allow them."""

import random
from collections.abc import Sequence

import tensorflow as tf
from absl import logging
from official.core import input_reader

from htc_tf import file_systems
from htc_tf.configs import task as task_config
from htc_tf.data.permutation import PermutedReading, Share, permuted_numbers
from htc_tf.data.record_index import index_records
from htc_tf.data.skipped import SkipCounter


def permuted_records(
  params: task_config.DataConfig,
  counter: SkipCounter,
  context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset | None:
  """Serialized training records, [] string, in permutations without end; one share per worker.

  Args:
    params: configuration of the pipeline.
    counter: counter of the files and records that cannot be read.
    context: context of the distribution strategy, if any.

  Returns:
    None if records are not read in permutations: the configuration does not ask for them, or they
    are not possible, which is logged.

  Raises:
    DataError: there is no record.
  """
  if not params.is_training or params.shuffle != task_config.PERMUTATION:
    return None
  paths = input_reader.match_files(params.input_path)
  obstacle = _obstacle(params, paths)
  if obstacle:
    logging.warning(
      'shuffle=permutation is not possible with %s; records are shuffled in a buffer of %d',
      obstacle,
      params.shuffle_buffer_size,
    )
    return None
  index = index_records(paths, counter)
  share = Share()
  if context is not None and params.sharding:
    share = Share(context.input_pipeline_id, context.num_input_pipelines)
  num_read = params.num_read // share.num_workers
  numbers = permuted_numbers(index.num_records, _seed(params, share), share, num_read)
  return PermutedReading(index, counter).read(numbers)


def _obstacle(params: task_config.DataConfig, paths: Sequence[str]) -> str:
  """What prevents the reading in permutations; empty if nothing does."""
  if params.enable_tf_data_service:
    return 'enable_tf_data_service, which reads in other processes'
  if params.cache:
    return 'cache, which keeps one order'
  if not tf.executing_eagerly():
    return 'parameter servers, which cannot read the places of records beforehand'
  if any(map(file_systems.is_remote, paths)):
    return 'records on a remote file system, where single records are slow to read'
  return ''


def _seed(params: task_config.DataConfig, share: Share) -> int:
  """The seed of the permutations; workers that share them without a common seed use 0."""
  for seed in (params.permutation_seed, params.seed):
    if seed is not None:
      return seed
  return random.randrange(task_config.SEED_LIMIT) if share.num_workers == 1 else 0
