"""Running statistics of batch norm, estimated anew for weights that no training step has seen."""

from collections.abc import Iterator

import tensorflow as tf
import tf_keras

from htc_tf import progress
from htc_tf.errors import DataError, InputError
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.tasks.htc import HTCTask, model_inputs
from htc_tf.tasks.running_statistics import RunningStatistics


def has_running_statistics(model: HTCModel) -> bool:
  """Whether a training of the model updates running statistics of batch norm."""
  return bool(RunningStatistics(model).variables)


def estimate(task: HTCTask, model: HTCModel, num_batches: int) -> None:
  """Replace the running statistics by their means over training batches (Izmailov et al. 2018).

  Each batch passes the model as in a training step, with the augmentation of the training; no
  weight changes. A bar shows the progress.

  Args:
    task: task whose `train_data` names the records.
    model: the model; its variables must exist.
    num_batches: number of batches; the mean over fewer is taken if the data end before.

  Raises:
    InputError: the number is below 1, or no training updates the statistics of the model.
    DataError: there is no batch.
  """
  if num_batches < 1 or not has_running_statistics(model):
    raise InputError(
      'The running statistics of batch norm cannot be estimated anew',
      expected='one batch or more, and batch norms that a training updates',
      got=f'{num_batches} batches'
      if num_batches < 1
      else 'a model whose batch norms are all frozen (norm_eval), or that has none',
      likely_cause='a model that is trained as published: its statistics are those of its initial '
      'weights, and the same in all checkpoints',
    )
  variables = RunningStatistics(model).variables
  totals = [tf.zeros(variable.shape, tf.float64) for variable in variables]
  batches = task.build_inputs(task.task_config.train_data)

  @tf.function(input_signature=batches.element_spec, autograph=False)
  def see(images, labels):
    model(model_inputs(images, labels), training=True)

  # Without momentum, each batch leaves its own statistics.
  momenta = [(layer, layer.momentum) for layer in _norms(model)]
  num_seen = 0
  try:
    for layer, _ in momenta:
      layer.momentum = 0.0
    for images, labels in progress.track(
      batches.take(num_batches), description='batch norm', unit='batch', total=num_batches
    ):
      see(images, labels)
      totals = [total + tf.cast(seen, tf.float64) for total, seen in zip(totals, variables)]
      num_seen += 1
  finally:
    for layer, momentum in momenta:
      layer.momentum = momentum
  if not num_seen:
    raise DataError(
      'There are no training images to estimate the statistics of batch norm from',
      expected='a batch or more',
      got=f'none in {task.task_config.train_data.input_path}',
    )
  for variable, total in zip(variables, totals):
    variable.assign(tf.cast(total / num_seen, variable.dtype))


def _norms(model: HTCModel) -> Iterator[tf_keras.layers.Layer]:
  """The layers of batch norm, also those of Model Garden."""
  return (layer for layer in model.submodules if hasattr(layer, 'moving_mean'))
