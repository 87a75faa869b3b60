"""Steps of an optimizer on gradients of some rows, on two replicas, and of scaled losses."""

import numpy as np
import tensorflow as tf


def on_rows(optimizer, variable, gradients):
  """Apply gradients as those of gathers, several for a row that is gathered twice.

  Args:
    optimizer: the optimizer.
    variable: [3, 1] variable.
    gradients: [steps, 3] gradients of the gathered rows.

  Returns:
    [steps, 3] the same gradients as dense ones.
  """
  dense = np.zeros_like(gradients)
  for step, gradient in enumerate(gradients):
    rows = [step % 3, 1, 1]
    np.add.at(dense[step], rows, gradient)
    slices = tf.IndexedSlices(gradient[:, np.newaxis], tf.constant(rows), [3, 1])
    optimizer.apply_gradients([(slices, variable)])
  return dense


def on_replicas(strategy, optimizer, variable, gradients):
  """Apply gradients of which each of two replicas has a half."""

  @tf.function(autograph=False)
  def step(gradient):
    strategy.run(lambda: optimizer.apply_gradients([(0.5 * gradient, variable)]))

  for gradient in gradients:
    step(tf.constant(gradient))


def of_scaled_losses(optimizer, variable, gradients):
  """Apply gradients as those of losses that an optimizer scales; None stands for infinite ones.

  Returns:
    [steps, ...] the variable after each step.
  """

  @tf.function(autograph=False)
  def step(gradient):
    scaled = optimizer.get_scaled_loss(gradient)
    optimizer.apply_gradients([(optimizer.get_unscaled_gradients([scaled])[0], variable)])

  weights = []
  for gradient in gradients:
    step(tf.constant(np.full(3, np.inf, np.float32) if gradient is None else gradient))
    weights.append(variable.numpy())
  return np.stack(weights)
