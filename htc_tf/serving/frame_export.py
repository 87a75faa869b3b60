"""Export of a trained model for other runtimes: ONNX, OpenVINO or TFLite."""

import json
import os
from typing import Any

from absl import logging

from htc_tf import file_errors, file_systems, files
from htc_tf.errors import ConfigError, HTCError
from htc_tf.serving import export_format as format_lib
from htc_tf.serving import lowering
from htc_tf.serving.frame_graph import FrameGraph
from htc_tf.serving.predictor import HTCPredictor
from htc_tf.serving.runtimes import base, registry
from htc_tf.serving.runtimes.base import Runtime


def export_frame_model(
  predictor: HTCPredictor,
  export_dir: str,
  runtime: str,
  height: int | None = None,
  width: int | None = None,
) -> str:
  """Write a model for another runtime, completely or not at all.

  Inputs and outputs are those of `FrameGraph`. The folder holds the model (`model.onnx`,
  `model.xml` with `model.bin`, or `model.tflite`), `export.json`, which describes the frame, and
  `categories.json`, the categories by class.

  Args:
    predictor: a single model, with its weights, that sees each image once.
    export_dir: a folder that does not exist yet.
    runtime: `onnx`, `openvino` or `tflite`.
    height: height of the frame that images are padded to; None for the published 800, or the next
      number that the model can read.
    width: its width; None for the published 1344.

  Returns:
    `export_dir`.

  Raises:
    InputError: `export_dir` is in use, remote or cannot be written, there is no such runtime, the
      frame has a size that the model cannot read, or the model has several views.
    ConfigError: packages of the runtime are missing, or it lacks operations of the model.
  """
  check_options(export_dir, runtime)
  chosen = registry.find(runtime)
  default = lowering.default_hw(predictor.model)
  graph = FrameGraph(
    predictor,
    default[0] if height is None else height,
    default[1] if width is None else width,
  )
  with files.new_folder_when_written(export_dir, last=chosen.model_file) as folder:
    _convert(chosen, graph, folder)
    content = json.dumps(_description(graph, chosen, predictor), indent=2)
    files.write_bytes(os.path.join(folder, format_lib.FORMAT_FILE), content.encode())
    format_lib.write_categories(predictor.dataset_info, folder)
  logging.info('Exported to %s', export_dir)
  return file_systems.without_final_slash(export_dir)


def check_options(export_dir: str, runtime: str) -> None:
  """Check everything that can be checked before the model is loaded, which takes long.

  The arguments and errors are those of `export_frame_model`.
  """
  chosen = registry.find(runtime)
  base.check_installed(f'An export to {chosen.title}', chosen.packages_to_convert)
  file_systems.check_local(export_dir, 'The export folder (--output)')
  files.check_new_folder(export_dir)


def _convert(runtime: Runtime, graph: FrameGraph, folder: str) -> None:
  """Write the model; what the converter does not support is a ConfigError."""
  try:
    with file_errors.as_input_errors():
      runtime.convert(graph, folder)
  except (HTCError, OSError):
    raise
  except Exception as error:  # Each converter has errors of its own.
    raise ConfigError(
      f'The model cannot be converted to {runtime.title}',
      expected='a model of operations that the converter supports',
      got=str(error).strip()[:500],
      likely_cause='a part of the model that this runtime lacks; try another --format',
    ) from error


def _description(graph: FrameGraph, runtime: Runtime, predictor: HTCPredictor) -> dict[str, Any]:
  outputs = graph.detect.get_concrete_function().structured_outputs
  return {
    'format': runtime.name,
    'frame': graph.rule._asdict(),
    'mean': list(graph.normalization.mean),
    'stddev': list(graph.normalization.stddev),
    'mask_threshold': predictor.mask_threshold,
    'class_agnostic_nms': predictor.class_agnostic_nms,
    'inputs': [_described(each.name, each) for each in graph.signature],
    'outputs': [_described(name, outputs[name]) for name in sorted(outputs)],
  }


def _described(name: str, value: Any) -> dict[str, Any]:
  return {'name': name, 'shape': list(value.shape), 'dtype': value.dtype.name}
