"""A step that is not finite: it changes no weight, and stops the run or is skipped and counted."""

import threading
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
import tf_keras
from absl import logging

from htc_tf.errors import TrainingError

# Where every step is skipped nothing is learnt any more.
MAX_SKIPPED_IN_A_ROW = 100


class NonFiniteLoss:
  """What is done about a step with a loss term that is infinite or no number.

  Args:
    skips: whether the step is counted and the run goes on, instead of stopping.
  """

  def __init__(self, skips: bool):
    self._skips = skips
    self._lock = threading.Lock()
    self._num_skipped = 0
    self._last_step = -1
    self._in_a_row = 0

  @property
  def num_skipped(self) -> int:
    """Steps skipped since this process began; one that several replicas skip counts once."""
    return self._num_skipped

  def react(self, terms: Mapping[str, tf.Tensor], source_ids: tf.Tensor, step: tf.Tensor) -> None:
    """Stops or counts, when run, unless all terms are finite; Python is called only then.

    Args:
      terms: of this replica, by name, each [].
      source_ids: [batch] int64, the images of its batch.
      step: [] int64, the number of the step, the first being 1.

    Raises:
      TrainingError: (when run, as an error of TensorFlow that has it in its message) see above.
    """
    names, values = list(terms), _stack(terms)

    def host(values: np.ndarray, source_ids: np.ndarray, step: np.ndarray) -> bool:
      self._note(names, values, source_ids, int(step))
      return True

    tf.cond(
      _is_finite(values),
      lambda: True,
      lambda: tf.numpy_function(host, [values, source_ids, step], tf.bool),
    )

  def _note(
    self, names: Sequence[str], values: np.ndarray, source_ids: np.ndarray, step: int
  ) -> None:
    found = ', '.join(
      f'{name} = {value}' for name, value in zip(names, values) if not np.isfinite(value)
    )
    error = TrainingError(
      f'step {step} is not finite, image ids {", ".join(map(str, source_ids))}',
      expected='finite loss terms and gradients',
      got=found,
      likely_cause='a learning rate too high for the batch, a warm-up too short, or these '
      'images. No weight was changed by the step, and the last checkpoint is from before. '
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
  """[] bool, the same on all replicas: whether all terms of all of them are finite."""
  finite = _is_finite(_stack(terms))
  if tf.distribute.get_strategy().num_replicas_in_sync == 1:
    return finite
  num_broken = tf.distribute.get_replica_context().all_reduce(
    tf.distribute.ReduceOp.SUM, tf.cast(~finite, tf.float32)
  )
  return tf.equal(num_broken, 0.0)


def create_state(optimizer: tf_keras.optimizers.Optimizer, variables: list[tf.Variable]) -> None:
  """Creates what an optimizer keeps of variables; within a condition it cannot do that."""
  with tf.init_scope():
    if hasattr(optimizer, 'build'):
      optimizer.build(variables)
    else:
      optimizer._create_all_weights(variables)


def apply_if(
  chosen: tf.Tensor,
  optimizer: tf_keras.optimizers.Optimizer,
  gradients: list[tf.Tensor],
  variables: list[tf.Variable],
) -> None:
  """Updates the variables, or only counts the step.

  Args:
    chosen: [] bool, the same on all replicas.
    optimizer: after `create_state`; if it scales losses, a step that is not chosen leaves the scale
      alone.
    gradients: of this replica.
    variables: theirs.
  """

  def apply(gradients: Sequence[tf.Tensor]) -> None:
    optimizer.apply_gradients(list(zip(gradients, variables)))

  def count() -> None:
    optimizer.iterations.assign_add(1, read_value=False)

  def choose(strategy: tf.distribute.Strategy, chosen, gradients) -> None:
    chosen = strategy.experimental_local_results(chosen)[0]
    tf.cond(
      chosen,
      lambda: _nothing(strategy.extended.call_for_each_replica(apply, args=(gradients,))),
      lambda: _nothing(count()),
    )

  # An optimizer leaves its replica to add up gradients, which it cannot do within a condition.
  tf.distribute.get_replica_context().merge_call(choose, args=(chosen, gradients))


def _nothing(_) -> tf.Tensor:
  """A result for both branches of a condition."""
  return tf.constant(True)


def _stack(terms: Mapping[str, tf.Tensor]) -> tf.Tensor:
  return tf.stack([tf.cast(term, tf.float32) for term in terms.values()])


def _is_finite(values: tf.Tensor) -> tf.Tensor:
  return tf.reduce_all(tf.math.is_finite(values))
