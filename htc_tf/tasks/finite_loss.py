"""Training steps whose loss or gradient is not finite: they change no weight."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from absl import logging

from htc_tf.errors import TrainingError

# If more steps than this in a row are not finite, the run stops, because it learns nothing.
MAX_SKIPPED_IN_A_ROW = 100


class NonFiniteLoss:
  """The reaction to a step with a loss term that is not finite: an error, or a count of such steps.

  Args:
    skips: whether the step is counted as skipped and the run continues, instead of stopping.
  """

  def __init__(self, skips: bool):
    self._skips = skips
    self._lock = threading.Lock()
    self._num_skipped = 0
    self._last_step = -1
    self._in_a_row = 0

  @property
  def num_skipped(self) -> int:
    """Number of steps skipped by this process; a step that several replicas skip counts once."""
    return self._num_skipped

  def react(self, terms: Mapping[str, tf.Tensor], source_ids: tf.Tensor, step: tf.Tensor) -> None:
    """Raise an error or count the step if a term is not finite.

    The check is part of the graph, which calls Python only if a term is not finite; no other part
    of the step waits for it.

    Args:
      terms: loss terms of this replica by name, each [].
      source_ids: [batch] int64 ids of the images in the replica's batch.
      step: [] int64 number of the step; the first step is 1.

    Raises:
      tf.errors.OpError: (when run) a term is not finite, and such steps are not skipped or too many
        were skipped in a row; the message is that of a `TrainingError`.
    """
    names, values = list(terms), _stack(terms)

    def record(values: tf.Tensor, source_ids: tf.Tensor, step: tf.Tensor) -> bool:
      self._record(names, values.numpy(), source_ids.numpy(), int(step))
      return True

    tf.cond(
      _is_finite(values),
      lambda: True,
      # In contrast to `numpy_function`, it has a GPU kernel.
      lambda: tf.py_function(record, [values, source_ids, step], tf.bool),
    )

  def _record(
    self, names: Sequence[str], values: np.ndarray, source_ids: np.ndarray, step: int
  ) -> None:
    found = ', '.join(
      f'{name} = {value}' for name, value in zip(names, values) if not np.isfinite(value)
    )
    error = TrainingError(
      f'The loss or a gradient of step {step} is not finite, image ids '
      f'{", ".join(map(str, source_ids))}',
      expected='finite loss terms and gradients',
      got=found,
      likely_cause='a learning rate too high for the batch, a warm-up too short, or these '
      'images. The step changed no weight, and the last checkpoint was saved before it. '
      'task.skip_non_finite_steps=true skips such steps',
    )
    with self._lock:
      if step != self._last_step:
        self._num_skipped += 1
        self._in_a_row = self._in_a_row + 1 if step == self._last_step + 1 else 1
      self._last_step = step
    if not self._skips or self._in_a_row > MAX_SKIPPED_IN_A_ROW:
      raise error
    logging.error('Skipped (%d so far): %s', self._num_skipped, error)


def finite_everywhere(terms: Mapping[str, tf.Tensor]) -> tf.Tensor:
  """[] bool, the same on all replicas: whether all terms of all replicas are finite."""
  finite = _is_finite(_stack(terms))
  if tf.distribute.get_strategy().num_replicas_in_sync == 1:
    return finite
  num_non_finite = tf.distribute.get_replica_context().all_reduce(
    tf.distribute.ReduceOp.SUM, tf.cast(~finite, tf.float32)
  )
  return tf.equal(num_non_finite, 0.0)


def create_state(optimizer: tf_keras.optimizers.Optimizer, variables: list[tf.Variable]) -> None:
  """Create the optimizer's variables, which cannot be created inside a `tf.cond`.

  A step may be traced at this moment. TensorFlow traces a step again if it has created variables
  that TensorFlow lifts out of it; these are created outside of it, and are not lifted.
  """

  def outside(next_creator: Callable[..., tf.Variable], **kwargs: Any) -> tf.Variable:
    return next_creator(**{**kwargs, 'experimental_enable_variable_lifting': False})

  with tf.init_scope(), tf.variable_creator_scope(outside):
    if hasattr(optimizer, 'build'):
      optimizer.build(variables)
    else:
      optimizer._create_all_weights(variables)


def apply_if(
  accepted: tf.Tensor,
  optimizer: tf_keras.optimizers.Optimizer,
  gradients: list[tf.Tensor],
  variables: list[tf.Variable],
) -> None:
  """Update the variables if the step is accepted; otherwise only count the step.

  Args:
    accepted: [] bool, the same on all replicas.
    optimizer: optimizer after `create_state`. If it scales losses, a step that is not accepted does
      not change the scale.
    gradients: gradients of this replica.
    variables: variables of the gradients, in the same order.
  """

  def apply(gradients: Sequence[tf.Tensor]) -> None:
    optimizer.apply_gradients(list(zip(gradients, variables)))

  def update_or_count(strategy: tf.distribute.Strategy, accepted: Any, gradients: Any) -> None:
    def update() -> tf.Tensor:
      strategy.extended.call_for_each_replica(apply, args=(gradients,))
      return tf.constant(True)

    def count() -> tf.Tensor:
      optimizer.iterations.assign_add(1, read_value=False)
      return tf.constant(True)

    tf.cond(strategy.experimental_local_results(accepted)[0], update, count)

  # Optimizers call `merge_call` to add up gradients. Inside a `tf.cond` of a replica this call is
  # impossible, so the `tf.cond` is outside the replicas.
  tf.distribute.get_replica_context().merge_call(update_or_count, args=(accepted, gradients))


def _stack(terms: Mapping[str, tf.Tensor]) -> tf.Tensor:
  return tf.stack([tf.cast(term, tf.float32) for term in terms.values()])


def _is_finite(values: tf.Tensor) -> tf.Tensor:
  return tf.reduce_all(tf.math.is_finite(values))
