"""Recomputation of intermediate values in the backward pass (gradient checkpointing)."""

from collections.abc import Callable

import tensorflow as tf

from htc_tf.ops.without_autograph import without_autograph


def recompute_in_backward(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
  """The same function with a gradient that recomputes the values between inputs and result.

  Use it for values that are cheap to compute and large to keep. If the gradient does not need the
  result of the last step, as for a convolution, the graph omits that step when it recomputes.
  Unlike `tf.recompute_grad`, this copies no input, but XLA may merge the recomputation with the
  forward pass.

  Args:
    function: function of float tensors that returns one tensor. It must read variables only through
      its arguments.
  """

  @without_autograph  # Autograph would remove the decorator below.
  @tf.custom_gradient
  def run(*inputs: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], list[tf.Tensor | None]]]:
    def gradient(upstream: tf.Tensor) -> list[tf.Tensor | None]:
      # Without the dependency, the graph could recompute right after the forward pass.
      with tf.control_dependencies([upstream]):
        again = [tf.identity(x) for x in inputs]
      with tf.GradientTape() as tape:
        tape.watch(again)
        result = function(*again)
      return tape.gradient(result, again, upstream)

    return function(*inputs), gradient

  return run
