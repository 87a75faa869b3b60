"""Dtype that a model computes in."""

import contextlib
from collections.abc import Iterator

import tf_keras
from official.modeling import performance


@contextlib.contextmanager
def computing_in(dtype: str | None) -> Iterator[None]:
  """Context in which new layers compute in `dtype`; their variables are float32 in any case.

  Args:
    dtype: 'float32', 'bfloat16' or 'float16', as in `runtime.mixed_precision_dtype`; None means
      float32.
  """
  before = tf_keras.mixed_precision.global_policy()
  performance.set_mixed_precision_policy(dtype or 'float32')
  try:
    yield
  finally:
    tf_keras.mixed_precision.set_global_policy(before)
