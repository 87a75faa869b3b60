"""One seed for all random choices of a run, and the place where its data continue."""

import os
import zlib

import tensorflow as tf
import tf_keras
from absl import logging
from official.core import config_definitions as cfg

from htc_tf import file_systems, worker_exchange
from htc_tf.configs.task import PERMUTATION, SEED_LIMIT


def fix_seeds(params: cfg.ExperimentConfig, step: int) -> None:
  """Make this process repeatable if `task.seed` is set: the same losses, bit for bit.

  This seeds Python, NumPy and TensorFlow (initial weights, sampling) and the order and augmentation
  of the training data, and makes TensorFlow use deterministic kernels.

  Args:
    params: the experiment; the seed of its training data is set.
    step: step at which the run continues. It is added to the seed; otherwise every start would
      train on the same first images.
  """
  seed = params.task.seed
  if seed is None:
    return
  start_seed = (seed + step) % SEED_LIMIT
  logging.info('task.seed is %d: this start, at step %d, uses seed %d', seed, step, start_seed)
  tf_keras.utils.set_random_seed(start_seed)
  tf.config.experimental.enable_op_determinism()
  if params.task.train_data.seed is None:
    params.override({'task': {'train_data': {'seed': start_seed, 'deterministic': True}}})


def continue_permutations(params: cfg.ExperimentConfig, model_dir: str, step: int) -> None:
  """Let training data that are read in permutations continue where the run was interrupted.

  All starts of a run have the same seed of the permutations: `task.seed`, or one made from the path
  of the model directory of the chief, so that runs in other directories have other orders.

  Args:
    params: the experiment; the training data get the seed and the number of records read.
    model_dir: the model directory.
    step: step at which the run continues.
  """
  data = params.task.train_data
  if data.shuffle != PERMUTATION:
    return
  place = model_dir if file_systems.is_remote(model_dir) else os.path.abspath(model_dir)
  own = zlib.crc32(place.encode(errors='surrogateescape')) % SEED_LIMIT
  seed = worker_exchange.from_chief(lambda: own)
  data.permutation_seed = seed if params.task.seed is None else params.task.seed
  data.num_read = step * data.global_batch_size
