"""What code has to know of XLA: whether it is traced for it, and how to stop one simplification."""

import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops
from tensorflow.python.ops import control_flow_util


def compiling() -> bool:
  """Returns whether the current trace will be compiled by XLA (`jit_compile=True` or a TPU).

  Several operations here exist in two forms with equal results: one whose sizes follow the data,
  for TensorFlow's own kernels, and one of static shapes, for XLA.
  """
  return control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def opaque(value: tf.Tensor) -> tf.Tensor:
  """Returns `value`, of any shape, as something a compiler cannot compute ahead.

  XLA replaces a division by a known number with a product with its reciprocal, which rounds
  differently.
  """
  if not compiling():
    return value
  return gen_xla_ops.xla_optimization_barrier(input=[value])[0]
