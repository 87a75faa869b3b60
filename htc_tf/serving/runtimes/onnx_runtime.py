"""ONNX files, written by tf2onnx, and onnxruntime, which runs them."""

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from htc_tf import files
from htc_tf.ops import plain
from htc_tf.serving.frame_graph import FrameGraph
from htc_tf.serving.runtimes import onnx_int8, onnx_repairs, onnx_roi_align
from htc_tf.serving.runtimes.base import Frames, Run, Runtime

MODEL_FILE = 'model.onnx'
# The newest version of the operations that tf2onnx writes.
_OPSET = 18


def onnx_model(graph: FrameGraph, roi_align: bool = False) -> Any:
  """The ONNX model, an `onnx.ModelProto`.

  Args:
    graph: detection in a frame.
    roi_align: whether RoIs are pooled by the operation RoiAlign, instead of a loop that takes one
      RoI at a time. On a CPU, onnxruntime is faster with the loop, and OpenVINO with RoiAlign.
  """
  import onnx
  import tensorflow as tf
  import tf2onnx

  logging.getLogger('tf2onnx').setLevel(logging.ERROR)
  detect = tf.function(  # It is traced anew, in the context below.
    graph.detect.python_function, autograph=False, input_signature=graph.signature
  )
  with contextlib.ExitStack() as context:
    context.enter_context(_without_copies())
    context.enter_context(_without_copies_of_constants())
    if roi_align:
      context.enter_context(plain.marked_roi_align())
    model, _ = tf2onnx.convert.from_function(
      detect,
      input_signature=graph.signature,
      opset=_OPSET,
      custom_op_handlers=onnx_roi_align.handlers() if roi_align else None,
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


@contextlib.contextmanager
def _without_copies_of_constants() -> Iterator[None]:
  """A context in which the passes of tf2onnx do not write constants into their nodes again.

  The nodes are messages, which keep the memory of what was in them before. After 50 passes that is
  50 times the weights: 15 GB for R50. The model is made from the constants themselves.
  """
  from tf2onnx.graph import Node

  update_proto = Node.update_proto

  def update_unless_constant(node: Any, *arguments: Any, **keywords: Any) -> None:
    if not node.is_const():
      update_proto(node, *arguments, **keywords)

  Node.update_proto = update_unless_constant
  try:
    yield
  finally:
    Node.update_proto = update_proto


def _convert(graph: FrameGraph, folder: str) -> None:
  _write(onnx_model(graph), folder)


def _convert_to_int8(graph: FrameGraph, folder: str, frames: Frames) -> None:
  # onnxruntime 1.32 ends the process where a loop reads what a convolution in 8 bits reads too.
  _write(onnx_int8.quantized(onnx_model(graph, roi_align=True), frames), folder)


def _write(model: Any, folder: str) -> None:
  files.write_bytes(os.path.join(folder, MODEL_FILE), model.SerializeToString())


def _load(path: str) -> Run:
  import onnxruntime

  session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
  names = [output.name for output in session.get_outputs()]

  def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return dict(zip(names, session.run(names, dict(inputs))))

  return run


RUNTIME = Runtime(
  'onnx',
  'ONNX',
  MODEL_FILE,
  ('tf2onnx', 'onnx'),
  ('onnxruntime',),
  _convert,
  _load,
  _convert_to_int8,
)
