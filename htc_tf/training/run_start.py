"""What happens before a run in a model directory starts."""

import tensorflow as tf
from official.core import config_definitions as cfg

from htc_tf.checkpoints import last_good, model_directory
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.tasks.htc import HTCTask


def prepare(mode: str, model_dir: str, params: cfg.ExperimentConfig) -> str | None:
  """Readies a model directory for the trainer; no other process may be doing so.

  To train it gets the categories of the data, and its last readable checkpoint becomes the one to
  continue from. To evaluate the annotations are read, for nothing but their errors, which would
  otherwise show when training has come to its first evaluation.

  Args:
    mode: of the trainer.
    model_dir: the directory.
    params: the experiment.

  Returns:
    The prefix of the checkpoint that the trainer restores; None if there is none.

  Raises:
    CheckpointError: see `last_checkpoint`.
    DataError: records without their metadata, or annotations that the model cannot be evaluated
      against.
  """
  if 'eval' in mode:
    HTCTask(params.task).build_evaluator()
  if 'train' not in mode:
    last_good.check_latest(model_dir)
    last_good.require_for_evaluation(model_dir, mode, params.task.init_checkpoint)
    return tf.train.latest_checkpoint(model_dir)
  model_directory.save_dataset_info(model_dir, DatasetInfo.find(params.task.train_data.input_path))
  return last_good.prepare_to_continue(model_dir)
