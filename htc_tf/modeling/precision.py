"""Precision that a model computes in."""

import contextlib
from collections.abc import Iterator

import tf_keras
from official.modeling import performance

# Features and masks in bfloat16, boxes and scores in float32.
BFLOAT16_FEATURES = 'bfloat16_features'

_FLOAT32 = 'float32'
_chosen = [_FLOAT32]


def image_dtype(name: str | None) -> str:
  """Type of the network inputs of a precision.

  Args:
    name: 'float32', 'bfloat16', 'float16' or `BFLOAT16_FEATURES`, as in
      `runtime.mixed_precision_dtype`; None means float32.
  """
  return 'bfloat16' if name == BFLOAT16_FEATURES else name or _FLOAT32


def choose(name: str | None) -> None:
  """Let new layers compute in a precision; their variables are float32 in any case.

  Args:
    name: as for `image_dtype`.
  """
  _chosen[:] = [name or _FLOAT32]
  performance.set_mixed_precision_policy(image_dtype(name))


@contextlib.contextmanager
def computing_in(name: str | None) -> Iterator[None]:
  """Context in which new layers compute in a precision, as for `choose`."""
  before, policy = list(_chosen), tf_keras.mixed_precision.global_policy()
  choose(name)
  try:
    yield
  finally:
    _chosen[:] = before
    tf_keras.mixed_precision.set_global_policy(policy)


@contextlib.contextmanager
def of_boxes() -> Iterator[None]:
  """Context in which the heads that decide boxes and scores are made, within `computing_in`."""
  policy = tf_keras.mixed_precision.global_policy()
  if _chosen == [BFLOAT16_FEATURES]:
    tf_keras.mixed_precision.set_global_policy(_FLOAT32)
  try:
    yield
  finally:
    tf_keras.mixed_precision.set_global_policy(policy)
