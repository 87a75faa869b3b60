"""The runtimes by name."""

from htc_tf.errors import InputError
from htc_tf.serving.runtimes import onnx_runtime, openvino_runtime, tflite_runtime
from htc_tf.serving.runtimes.base import Runtime

_RUNTIMES = {
  runtime.name: runtime
  for runtime in (onnx_runtime.RUNTIME, openvino_runtime.RUNTIME, tflite_runtime.RUNTIME)
}
NAMES = tuple(_RUNTIMES)


def names_with_int8() -> list[str]:
  """Names of the runtimes whose models may compute in 8 bits."""
  return [name for name in NAMES if _RUNTIMES[name].convert_to_int8]


def find(name: str) -> Runtime:
  """The runtime of a name.

  Args:
    name: one of `NAMES`.

  Raises:
    InputError: there is none of this name.
  """
  if name not in _RUNTIMES:
    raise InputError(
      'The runtime is unknown',
      expected=f'one of {", ".join(NAMES)}',
      got=repr(name),
      likely_cause='a misspelled name, or an export of a newer version',
    )
  return _RUNTIMES[name]
