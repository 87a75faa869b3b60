"""Convolutions of an ONNX model in 8 bits, by onnxruntime's static quantization.

Weights get a scale for each filter. The range of each activation is that in given images. All other
operations stay as they are, so that boxes and scores are computed in float32.
"""

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator
from typing import Any

from htc_tf.serving.runtimes import onnx_repairs
from htc_tf.serving.runtimes.base import Frames


def quantized(model: Any, frames: Frames) -> Any:
  """A copy of an ONNX model, an `onnx.ModelProto`, with convolutions in 8 bits.

  Args:
    model: the model in float32.
    frames: inputs of the model by name, for each image.
  """
  import onnx
  from onnxruntime import quantization

  class Reader(quantization.CalibrationDataReader):
    """The inputs, one image at a time."""

    def __init__(self) -> None:
      self._frames = iter(frames)

    def get_next(self) -> Any:
      inputs = next(self._frames, None)
      return None if inputs is None else dict(inputs)

  with tempfile.TemporaryDirectory() as folder, _without_advice():
    path = os.path.join(folder, 'model.onnx')
    quantization.quantize_static(
      model,
      path,
      Reader(),
      quant_format=quantization.QuantFormat.QDQ,
      op_types_to_quantize=['Conv'],
      per_channel=True,
      # x86 processors without instructions for 8 bits add pairs of products in 16 bits, which
      # weights of 8 bits would overflow.
      reduce_range=True,
      activation_type=quantization.QuantType.QUInt8,
      weight_type=quantization.QuantType.QInt8,
    )
    quantized_model = onnx.load(path)
  onnx_repairs.sort(quantized_model.graph)
  onnx.checker.check_model(quantized_model)
  return quantized_model


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
  """A context without the warnings that advise to optimize the graph before."""
  logger = logging.getLogger()
  level = logger.level
  logger.setLevel(logging.ERROR)
  try:
    yield
  finally:
    logger.setLevel(level)
