"""TFLite files of its own operations only, and LiteRT, which runs them."""

import os
import tempfile
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from htc_tf import files
from htc_tf.serving.frame_graph import FrameGraph
from htc_tf.serving.runtimes.base import Run, Runtime

MODEL_FILE = 'model.tflite'


def _convert(graph: FrameGraph, folder: str) -> None:
  # Only the converter of SavedModels keeps the names of the inputs and outputs.
  with tempfile.TemporaryDirectory() as temporary:
    tf.saved_model.save(graph, temporary, signatures=graph.detect)
    converter = tf.lite.TFLiteConverter.from_saved_model(temporary)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    content = converter.convert()
  files.write_bytes(os.path.join(folder, MODEL_FILE), content)


def _load(path: str) -> Run:
  from ai_edge_litert.interpreter import Interpreter

  runner = Interpreter(path, num_threads=os.cpu_count()).get_signature_runner()

  def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return runner(**inputs)

  return run


RUNTIME = Runtime('tflite', 'TFLite', MODEL_FILE, (), ('ai_edge_litert',), _convert, _load)
