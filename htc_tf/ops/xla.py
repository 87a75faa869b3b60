"""Detection of traces for XLA, and a barrier against one of XLA's simplifications."""

import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops
from tensorflow.python.ops import control_flow_util


def compiling() -> bool:
  """Whether the current trace will be compiled by XLA (`jit_compile=True` or a TPU).

  Several operations of this package have two implementations with equal results: one whose shapes
  depend on the data, for TensorFlow's own kernels, and one with static shapes, for XLA.
  """
  return control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def opaque(value: tf.Tensor) -> tf.Tensor:
  """Identity whose result XLA does not treat as a constant; `value` may have any shape.

  XLA replaces a division by a constant with a multiplication by the reciprocal, which rounds
  differently.
  """
  if not compiling():
    return value
  return gen_xla_ops.xla_optimization_barrier(input=[value])[0]
