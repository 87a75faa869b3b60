"""SGD with the momentum of the published trainings."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

# Name of the velocity of a variable in checkpoints.
VELOCITY = 'velocity'


class PublishedSGD(tf_keras.optimizers.legacy.Optimizer):
  """SGD whose momentum does not contain the learning rate, as in PyTorch and Paddle.

  With the gradient g, the learning rate r and the momentum m, a step is v = m v + g, w = w - r v
  (Sutskever et al. 2013 write it with the rate inside, v = m v - r g, w = w + v, as Keras does).
  The two agree while the rate is constant. After a change of the rate, v of Keras still holds the
  old one for about 1 / (1 - m) steps, so that neither a warm-up nor a decay acts as published.

  It extends the older of the two base classes of Keras, because Model Garden's averages of weights
  accept no other.

  Args:
    learning_rate: the learning rate, or its schedule.
    momentum: factor on the velocity of the step before, in [0, 1).
    name: name of the optimizer.
    **kwargs: `clipnorm`, `clipvalue` or `global_clipnorm` of Keras, and its functions on gradients.
  """

  _HAS_AGGREGATE_GRAD = True  # The base class adds up the gradients of the replicas.

  def __init__(
    self,
    learning_rate: float | tf_keras.optimizers.schedules.LearningRateSchedule = 0.01,
    momentum: float = 0.0,
    name: str = 'PublishedSGD',
    **kwargs: Any,
  ):
    super().__init__(name, **kwargs)
    self._set_hyper('learning_rate', learning_rate)
    self._set_hyper('momentum', momentum)
    self._decay: Callable[[tf.Variable], float] | None = None

  def decay_weights(self, decay: Callable[[tf.Variable], float]) -> None:
    """Add weight decay to the gradients from now on, after the limit on their norm.

    PyTorch's optimizers and Paddle's do so too: a limit holds for the gradients of the loss alone.

    Args:
      decay: function from a variable to the factor of its decay: its gradient is factor * variable.
    """
    self._decay = decay

  def get_config(self) -> dict[str, Any]:
    """Arguments that build the same optimizer."""
    return {
      **super().get_config(),
      'learning_rate': self._serialize_hyperparameter('learning_rate'),
      'momentum': self._serialize_hyperparameter('momentum'),
    }

  def _create_slots(self, var_list: list[tf.Variable]) -> None:
    for variable in var_list:
      self.add_slot(variable, VELOCITY)

  def _transform_gradients(
    self, grads_and_vars: Sequence[tuple[tf.Tensor, tf.Variable]]
  ) -> Sequence[tuple[tf.Tensor, tf.Variable]]:
    """The gradients with their limit, then with weight decay."""
    limited = super()._transform_gradients(grads_and_vars)
    if self._decay is None:
      return limited
    return [
      (_decayed(gradient, variable, self._decay(variable)), variable)
      for gradient, variable in limited
    ]

  def _prepare_local(self, var_device: str, var_dtype: tf.DType, apply_state: Any) -> None:
    super()._prepare_local(var_device, var_dtype, apply_state)
    momentum = tf.identity(self._get_hyper('momentum', var_dtype))
    apply_state[(var_device, var_dtype)]['momentum'] = momentum

  def _resource_apply_dense(
    self, grad: tf.Tensor, var: tf.Variable, apply_state: Any = None
  ) -> tf.Operation:
    key = var.device, var.dtype.base_dtype
    values = (apply_state or {}).get(key) or self._fallback_apply_state(*key)
    # Of TensorFlow's two operations with momentum, this one has the rate outside.
    return tf.raw_ops.ResourceApplyMomentum(
      var=var.handle,
      accum=self.get_slot(var, VELOCITY).handle,
      lr=values['lr_t'],
      grad=grad,
      momentum=values['momentum'],
      use_locking=self._use_locking,
    )

  def _resource_apply_sparse(
    self, grad: tf.Tensor, var: tf.Variable, indices: tf.Tensor, apply_state: Any = None
  ) -> tf.Operation:
    """Update all rows; those without a gradient move on with their velocity, as published."""
    dense = tf.math.unsorted_segment_sum(grad, indices, tf.shape(var)[0])
    return self._resource_apply_dense(dense, var, apply_state)


def _decayed(gradient: tf.Tensor, variable: tf.Variable, factor: float) -> tf.Tensor:
  return tf.convert_to_tensor(gradient) + factor * variable if factor else gradient
