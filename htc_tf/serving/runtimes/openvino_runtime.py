"""OpenVINO files, made from the ONNX model, and OpenVINO, which runs them on the CPU."""

import os
from collections.abc import Mapping

import numpy as np

from htc_tf.serving.frame_graph import FrameGraph
from htc_tf.serving.runtimes import onnx_runtime
from htc_tf.serving.runtimes.base import Run, Runtime

MODEL_FILE = 'model.xml'


def _convert(graph: FrameGraph, folder: str) -> None:
  import openvino

  content = onnx_runtime.onnx_model(graph, roi_align=True).SerializeToString()
  model = openvino.Core().read_model(content, b'')
  openvino.save_model(model, os.path.join(folder, MODEL_FILE), compress_to_fp16=False)


def _load(path: str) -> Run:
  import openvino

  # By default, OpenVINO computes in bfloat16 on processors that have it.
  compiled = openvino.Core().compile_model(path, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
  names = [output.get_any_name() for output in compiled.outputs]

  def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    outputs = compiled(dict(inputs))
    return {name: np.array(outputs[name]) for name in names}

  return run


# Without 8 bits: OpenVINO does not load what it saves of such a model.
RUNTIME = Runtime(
  'openvino',
  'OpenVINO',
  MODEL_FILE,
  ('tf2onnx', 'onnx', 'openvino'),
  ('openvino',),
  _convert,
  _load,
)
