"""The kind of device that a graph is traced for.

Some operations of TensorFlow have no GPU kernel. In a graph on a GPU, their inputs would be copied
to the host and their outputs back in every step. Where such an operation is the fastest on a CPU,
this package has a second implementation of operations that do have GPU kernels.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import tensorflow as tf

_CHOSEN: contextvars.ContextVar[bool | None] = contextvars.ContextVar('chosen', default=None)


def on_gpu() -> bool:
  """Whether the current trace is for a GPU: whether this process has one, unless it was chosen."""
  chosen = _CHOSEN.get()
  return bool(tf.config.list_logical_devices('GPU')) if chosen is None else chosen


@contextlib.contextmanager
def tracing_for(gpu: bool) -> Iterator[None]:
  """Context in which graphs are traced for a GPU, or for a CPU.

  Args:
    gpu: whether the graphs will run on a GPU, which this process need not have.
  """
  token = _CHOSEN.set(gpu)
  try:
    yield
  finally:
    _CHOSEN.reset(token)
