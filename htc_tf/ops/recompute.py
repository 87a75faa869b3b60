"""Functions whose intermediate values are not kept for the backward pass."""

from collections.abc import Callable

import tensorflow as tf


def keep_inputs_only(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
  """The same function; its gradient computes again what lies between inputs and result.

  For what is cheap to compute and large to keep. Where the gradient does not need the last step's
  result, as that of a convolution, a graph leaves that step out the second time. Unlike
  `tf.recompute_grad`, no input is copied; XLA may merge both computations.

  Args:
    function: of float tensors to one, reading no variable but through them.
  """

  @tf.autograph.experimental.do_not_convert  # It would take the decorator below away.
  @tf.custom_gradient
  def run(*inputs):
    def gradient(upstream):
      with tf.control_dependencies([upstream]):  # Else both computations are done at once.
        again = [tf.identity(x) for x in inputs]
      with tf.GradientTape() as tape:
        tape.watch(again)
        result = function(*again)
      return tape.gradient(result, again, upstream)

    return function(*inputs), gradient

  return run
