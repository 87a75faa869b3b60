"""ONNX files, written by tf2onnx, and onnxruntime, which runs them."""

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from htc_tf import files
from htc_tf.serving.frame_graph import FrameGraph
from htc_tf.serving.runtimes import onnx_repairs
from htc_tf.serving.runtimes.base import Run, Runtime

MODEL_FILE = 'model.onnx'
# The newest version of the operations that tf2onnx writes.
_OPSET = 18


def onnx_model(graph: FrameGraph) -> Any:
  """The ONNX model, an `onnx.ModelProto`.

  Args:
    graph: detection in a frame.
  """
  import onnx
  import tf2onnx

  logging.getLogger('tf2onnx').setLevel(logging.ERROR)
  with _without_copies():
    model, _ = tf2onnx.convert.from_function(
      graph.detect, input_signature=graph.signature, opset=_OPSET
    )
  onnx_repairs.repair(model.graph)
  onnx.checker.check_model(model)
  return model


@contextlib.contextmanager
def _without_copies() -> Iterator[None]:
  """A context in which tf2onnx does not copy the model before each of its about 50 passes.

  It would use the copy if a pass fails. With the copies, R50 takes more than 9 GB of memory.
  """
  name = 'TF2ONNX_CATCH_ERRORS'
  before = os.environ.get(name)
  os.environ[name] = 'FALSE'
  try:
    yield
  finally:
    del os.environ[name]
    if before is not None:
      os.environ[name] = before


def _convert(graph: FrameGraph, folder: str) -> None:
  files.write_bytes(os.path.join(folder, MODEL_FILE), onnx_model(graph).SerializeToString())


def _load(path: str) -> Run:
  import onnxruntime

  session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
  names = [output.name for output in session.get_outputs()]

  def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return dict(zip(names, session.run(names, dict(inputs))))

  return run


RUNTIME = Runtime(
  'onnx', 'ONNX', MODEL_FILE, ('tf2onnx', 'onnx'), ('onnxruntime',), _convert, _load
)
