"""Errors of allocators, told with the likely cause."""

import re

from htc_tf.errors import InputError

# TensorFlow's error, by name: it is not imported for this.
_ALLOCATORS = ('ResourceExhaustedError', 'MemoryError', '_ArrayMemoryError')
_FUNCTION_NODE = re.compile(r'\{\{function_node [^}]*\}\} ')
_ALLOCATION = 'OOM when allocating'
_MAX_LENGTH = 300


def explained(error: BaseException) -> InputError | None:
  """The error message for memory that is not there; None for other errors.

  Args:
    error: an error of TensorFlow, NumPy or Python.
  """
  if type(error).__name__ not in _ALLOCATORS:
    return None
  text = _FUNCTION_NODE.sub('', getattr(error, 'message', None) or str(error))
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  # An error in a graph begins with words about the graph.
  lines.sort(key=lambda line: not line.startswith(_ALLOCATION))
  return InputError(
    'There is not enough memory',
    expected='a model, images and batches that fit into the memory of this machine',
    got=lines[0][:_MAX_LENGTH] if lines else type(error).__name__,
    likely_cause='images that are resized to a very large size (--tta, --image_size, '
    '--params_override), a large batch (--batch_size), or other programs that take the memory',
  )
