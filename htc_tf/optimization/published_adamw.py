"""AdamW as the published trainings of transformers have it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.optimization.rate_by_depth import LAYER, plain_name, rate_factors

# Names of the two moments of a variable in checkpoints.
FIRST_MOMENT, SECOND_MOMENT = 'first_moment', 'second_moment'


class PublishedAdamW(tf_keras.optimizers.legacy.Optimizer):
  """AdamW with the rule of PyTorch (Loshchilov and Hutter 2019, algorithm 2).

  With the gradient g, the learning rate r, the decay d and the number t of the step from 1 on, a
  step is w = w - r d w, m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2,
  w = w - r (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon).

  Model Garden's `adamw` adds epsilon to the root before the correction of v, and limits the norm of
  the gradients to 1 by default.

  A step that is skipped, because a gradient is not finite, changes neither moments nor t, as in
  PyTorch, whose scaler of gradients then does not call the optimizer. The schedule of the learning
  rate counts it, as that of mmdetection does: `iterations` counts all steps, and `num_updates`
  those that were not skipped.

  It extends the older of the two base classes of Keras, because Model Garden's averages of weights
  accept no other.

  Args:
    learning_rate: the learning rate, or its schedule.
    beta_1: factor on the first moment of the step before, in [0, 1).
    beta_2: factor on the second moment of the step before, in [0, 1).
    epsilon: number that is added to the root of the second moment.
    weight_decay: share of a weight that a step with a learning rate of 1 removes.
    exclude_from_decay: regular expressions; a variable whose name has one of them is not decayed.
    rate_by_depth: `factor` and `part` of the learning rates of the layers of a backbone, arguments
      `decay` and `part` of `rate_by_depth.rate_factors`; None for one rate.
    name: name of the optimizer.
    **kwargs: `clipnorm`, `clipvalue` or `global_clipnorm` of Keras, and its functions on gradients.
  """

  _HAS_AGGREGATE_GRAD = True  # The base class adds up the gradients of the replicas.

  def __init__(
    self,
    learning_rate: float | tf_keras.optimizers.schedules.LearningRateSchedule = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.01,
    exclude_from_decay: Sequence[str] = (),
    rate_by_depth: Mapping[str, Any] | None = None,
    name: str = 'PublishedAdamW',
    **kwargs: Any,
  ):
    super().__init__(name, **kwargs)
    self._set_hyper('learning_rate', learning_rate)
    self._values: dict[str, Any] = {
      'beta_1': beta_1,
      'beta_2': beta_2,
      'epsilon': epsilon,
      'weight_decay': weight_decay,
      'exclude_from_decay': list(exclude_from_decay),
      'rate_by_depth': dict(rate_by_depth or {'factor': 1.0, 'part': LAYER}),
    }
    self._rate_factors: dict[str, float] = {}
    self._num_updates: tf.Variable | None = None

  def get_config(self) -> dict[str, Any]:
    """Arguments that build the same optimizer."""
    rate = self._serialize_hyperparameter('learning_rate')
    return {**super().get_config(), 'learning_rate': rate, **self._values}

  @property
  def num_updates(self) -> tf.Variable:
    """[] int64 number of steps that changed the variables."""
    if self._num_updates is None:
      with self._distribution_strategy_scope():
        self._num_updates = self.add_weight(
          'num_updates',
          shape=[],
          dtype=tf.int64,
          trainable=False,
          # A checkpoint without this number is one of a run that counted all steps.
          initializer=lambda shape, dtype: tf.cast(self.iterations.read_value(), dtype),
          aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
      self._weights.append(self._num_updates)
    return self._num_updates

  def decays(self, name: str) -> bool:
    """Whether a variable of this name is decayed."""
    return not any(re.search(pattern, name) for pattern in self._values['exclude_from_decay'])

  def _create_slots(self, var_list: list[tf.Variable]) -> None:
    depth = self._values['rate_by_depth']
    names = [variable.name for variable in var_list]
    self._rate_factors = rate_factors(names, depth['factor'], depth['part'])
    _ = self.num_updates  # It creates the variable.
    for slot in (FIRST_MOMENT, SECOND_MOMENT):
      for variable in var_list:
        self.add_slot(variable, slot)

  def _prepare_local(self, var_device: str, var_dtype: tf.DType, apply_state: Any) -> None:
    """Compute what all variables of a device and type share."""
    super()._prepare_local(var_device, var_dtype, apply_state)
    step = tf.cast(self.num_updates + 1, var_dtype)
    values = apply_state[(var_device, var_dtype)]
    for name in ('beta_1', 'beta_2'):
      values[name] = tf.constant(self._values[name], var_dtype)
      values[f'correction_{name}'] = 1 - values[name] ** step

  def _distributed_apply(self, *args: Any, **kwargs: Any) -> Any:
    """Update all variables and count the update; a step that is skipped does not get here."""
    applied = super()._distributed_apply(*args, **kwargs)
    self.num_updates.assign_add(1, read_value=False)
    return applied

  def _resource_apply_dense(
    self, grad: tf.Tensor, var: tf.Variable, apply_state: Any = None
  ) -> tf.Operation:
    key = var.device, var.dtype.base_dtype
    values = (apply_state or {}).get(key) or self._fallback_apply_state(*key)
    beta_1, beta_2 = values['beta_1'], values['beta_2']
    first, second = (self.get_slot(var, slot) for slot in (FIRST_MOMENT, SECOND_MOMENT))
    new_first = first.assign(beta_1 * first + (1 - beta_1) * grad, self._use_locking)
    new_second = second.assign(beta_2 * second + (1 - beta_2) * grad**2, self._use_locking)
    mean = new_first / values['correction_beta_1']
    root = tf.sqrt(new_second / values['correction_beta_2']) + self._values['epsilon']
    decay = self._values['weight_decay'] if self.decays(var.name) else 0.0
    rate = values['lr_t'] * self._rate_factors[plain_name(var.name)]
    return var.assign_sub(rate * (mean / root + decay * var), self._use_locking)

  def _resource_apply_sparse(
    self, grad: tf.Tensor, var: tf.Variable, indices: tf.Tensor, apply_state: Any = None
  ) -> tf.Operation:
    """Update all rows; those without a gradient move on with their moments, as published."""
    dense = tf.math.unsorted_segment_sum(grad, indices, tf.shape(var)[0])
    return self._resource_apply_dense(dense, var, apply_state)
