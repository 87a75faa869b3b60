"""Preparation of a model directory before a run starts."""

from official.core import config_definitions as cfg

from htc_tf.checkpoints import last_good, model_directory
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import DataError
from htc_tf.tasks.htc import HTCTask


def prepare(mode: str, model_dir: str, params: cfg.ExperimentConfig) -> str | None:
  """Prepare a model directory for the trainer; only one process at a time may do so.

  For training, the categories of the data are saved, and the last readable checkpoint becomes the
  one to continue from. For evaluation, the annotations are read only to raise their errors now;
  otherwise they would appear at the first evaluation, after hours of training.

  Args:
    mode: mode of the trainer.
    model_dir: the model directory.
    params: the experiment.

  Returns:
    The prefix of the checkpoint that the trainer restores; None if there is none.

  Raises:
    CheckpointError: there is no checkpoint that the run can continue from or evaluate; see
      `last_good`.
    DataError: the metadata of the records is missing, the records have no instance, or the model
      cannot be evaluated with the annotations.
    InputError: the model directory cannot be created.
  """
  if 'eval' in mode:
    HTCTask(params.task).build_evaluator()
  if 'train' not in mode:
    return last_good.prepare_to_evaluate(model_dir, mode, params.task.init_checkpoint)
  info = DatasetInfo.find(params.task.train_data.input_path)
  if not info.num_trainable:
    raise DataError(
      f'The records {params.task.train_data.input_path} have no instance to train on',
      expected='at least one instance that is no crowd region',
      got=f'{info.num_instances} instances, all of them crowd regions',
      likely_cause='annotations without masks or of other images; convert them again',
    )
  model_directory.save_dataset_info(model_dir, info)
  return last_good.prepare_to_continue(model_dir)
