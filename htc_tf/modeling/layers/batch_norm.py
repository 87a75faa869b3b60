"""Batch normalization whose statistics can be frozen during training."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras
from official.modeling import hyperparams

from htc_tf.modeling.layers.frozen_variables import FrozenVariablesMixin


class NormOptions(NamedTuple):
  """Options of all batch norms of a network.

  Attributes:
    norm_eval: whether training uses the running statistics and does not update them.
    momentum: momentum of the running statistics.
    epsilon: number added to the variance; 1e-5 in the paper's code.
    synchronized: whether training without `norm_eval` normalizes with the statistics over the
      batches of all replicas together, instead of separately for each replica.
    trainable: whether scale and bias are trained; running statistics do not change without it.
  """

  norm_eval: bool = True
  momentum: float = 0.9
  epsilon: float = 1e-5
  synchronized: bool = False
  trainable: bool = True

  @classmethod
  def configured(
    cls, norm_eval: bool, config: hyperparams.Config, trainable: bool = True
  ) -> 'NormOptions':
    """The options of a configuration, for the builders of Model Garden's factories.

    Args:
      norm_eval: as above.
      config: configuration of the batch norms, a `NormActivation` of Model Garden.
      trainable: as above.
    """
    return cls(norm_eval, config.norm_momentum, config.norm_epsilon, config.use_sync_bn, trainable)


class BatchNorm(FrozenVariablesMixin, tf_keras.layers.BatchNormalization):
  """Batch norm over the last axis of [batch, height, width, channels].

  The running variance is that of an unbiased estimate, sum / (n - 1), as in PyTorch, while the
  variance of the batch divides by n. The fused operation of TensorFlow does so; Keras, where it
  needs other operations (synchronized norms, masks, `fused=False`), would divide by n in both.

  Args:
    norm_eval: whether training normalizes with the running statistics and does not update them,
      while gamma and beta are trained. The published detectors train their backbone in this way.
    **kwargs: arguments of `tf_keras.layers.BatchNormalization`.
  """

  def __init__(self, norm_eval: bool = False, **kwargs: Any):
    super().__init__(**kwargs)
    self._norm_eval = norm_eval

  def uses_batch_statistics(self, training: bool | None) -> bool:
    """Whether a call normalizes with the batch and updates the running statistics."""
    return bool(training) and self.trainable and not self._norm_eval

  def affine(self) -> tuple[tf.Tensor, tf.Tensor]:
    """Scale and shift from the running statistics, [channels] float32 each."""
    scale = self.gamma * tf.math.rsqrt(self.moving_variance + self.epsilon)
    return scale, self.beta - self.moving_mean * scale

  def call(
    self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None
  ) -> tf.Tensor:
    """Normalized inputs; see `uses_batch_statistics`.

    Args:
      inputs: [batch, height, width, channels].
      training: whether the model trains.
      mask: [batch, 1, 1] bool, False for rows that do not count in the statistics of the batch;
        needs `fused=False` in the constructor, because Keras would ignore it otherwise.
    """
    if not self.uses_batch_statistics(training):
      return super().call(inputs, training=False, mask=mask)
    if self.fused:
      return super().call(inputs, training=True, mask=mask)
    before = tf.identity(self.moving_variance)
    with tf.control_dependencies([before]):
      outputs = super().call(inputs, training=True, mask=mask)
    with tf.control_dependencies([outputs]):
      self._make_unbiased(before, self._count(inputs, mask))
    return outputs

  def _sync_calculate_mean_and_var(
    self,
    x: tf.Tensor,
    reduction_axes: Sequence[int],
    keep_dims: bool,
    mask: tf.Tensor | None = None,
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and variance of the batches of all replicas, exchanged in one operation.

    Keras, which calls this method, exchanges sums, sums of squares and counts one after the other.

    Args:
      x: [batch, height, width, channels], of 32 bits also in a layer of 16: Keras converts it.
      reduction_axes: all axes but the last one.
      keep_dims: whether the results have the rank of the inputs.
      mask: as in `call`.
    """
    replicas = tf.distribute.get_replica_context()
    if replicas is None:
      return self._no_sync_calculate_mean_and_var(x, reduction_axes, keep_dims, mask=mask)
    values = x if mask is None else x * tf.cast(mask, x.dtype)[..., tf.newaxis]
    parts = [
      tf.reduce_sum(values, reduction_axes),
      tf.reduce_sum(tf.square(values), reduction_axes),
      tf.cast(self._local_count(x, mask), x.dtype)[tf.newaxis],
    ]
    total = replicas.all_reduce(tf.distribute.ReduceOp.SUM, tf.concat(parts, 0))
    channels = x.shape[-1]
    sums, squares, count = tf.split(total, [channels, channels, 1])
    mean = tf.math.divide_no_nan(sums, count)
    # Rounding can make the difference negative.
    variance = tf.maximum(tf.math.divide_no_nan(squares, count) - tf.square(mean), 0.0)
    shape = [1] * (x.shape.rank - 1) + [channels] if keep_dims else [channels]
    return tf.reshape(mean, shape), tf.reshape(variance, shape)

  def _local_count(self, inputs: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """As `_count`, of the batch of this replica."""
    shape = tf.cast(tf.shape(inputs), tf.float32)
    rows = shape[0] if mask is None else tf.reduce_sum(tf.cast(mask, tf.float32))
    return rows * tf.reduce_prod(shape[1:-1])

  def _count(self, inputs: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """Number of values of a channel that the statistics of the batch are made of, [] float32."""
    count = self._local_count(inputs, mask)
    replicas = tf.distribute.get_replica_context()
    if self.synchronized and replicas is not None:
      return replicas.all_reduce(tf.distribute.ReduceOp.SUM, count)
    return count

  def _make_unbiased(self, before: tf.Tensor, count: tf.Tensor) -> None:
    """Turn the last update of the running variance from sum / n into sum / (n - 1)."""
    share = self.moving_variance - self.momentum * before
    self.moving_variance.assign_add(share / tf.maximum(count - 1.0, 1.0))
