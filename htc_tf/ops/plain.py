"""The choice of plain operations, those that other runtimes than TensorFlow have as well.

Several operations of this package have more than one implementation with equal results: the fastest
with TensorFlow's own kernels, one with static shapes for XLA, and, where that one suits no other
runtime, one of plain operations. Converters to ONNX, OpenVINO and TFLite know no sparse or string
kernels, and neither combined non-maximum suppression nor ragged gathering.
"""

import contextlib
import contextvars
from collections.abc import Iterator

from htc_tf.ops import xla

_ONLY_PLAIN = contextvars.ContextVar('only_plain', default=False)
_MARK_ROI_ALIGN = contextvars.ContextVar('mark_roi_align', default=False)


def only_plain_operations() -> contextlib.AbstractContextManager[None]:
  """A context in which traces of detection hold plain operations only.

  Images and RoIs must have static shapes. Training has operations that are not plain.
  """
  return _true_in_context(_ONLY_PLAIN)


def marked_roi_align() -> contextlib.AbstractContextManager[None]:
  """A context in which traces of plain operations only mark RoIAlign; see `marked_pooling`.

  Such a graph is to be converted for a runtime that has RoIAlign as an operation. It cannot be run.
  """
  return _true_in_context(_MARK_ROI_ALIGN)


@contextlib.contextmanager
def _true_in_context(variable: contextvars.ContextVar[bool]) -> Iterator[None]:
  token = variable.set(True)
  try:
    yield
  finally:
    variable.reset(token)


def marks_roi_align() -> bool:
  """Whether the current trace only marks RoIAlign."""
  return required() and _MARK_ROI_ALIGN.get()


def required() -> bool:
  """Whether the current trace may hold plain operations only."""
  return _ONLY_PLAIN.get()


def without_kernels() -> bool:
  """Whether the current trace must do without those kernels that only TensorFlow has.

  This holds for plain operations, and also for XLA.
  """
  return required() or xla.compiling()
