"""Gathering of rows from arrays that may have no rows."""

import tensorflow as tf


def gather_rows(values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
  """Selected rows per image; if `values` has no rows, the result is padding (-1).

  Args:
    values: [batch, num, ...].
    rows: [batch, num_rows] int32; 0 is allowed even if `num` is 0.

  Returns:
    [batch, num_rows, ...].
  """
  paddings = [[0, 0], [0, 1]] + [[0, 0]] * (values.shape.rank - 2)
  return tf.gather(tf.pad(values, paddings, constant_values=-1), rows, batch_dims=1)
