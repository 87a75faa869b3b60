"""Export of a trained model for other runtimes: ONNX, OpenVINO or TFLite."""

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging

from htc_tf import file_errors, file_systems, files, progress
from htc_tf.data.sample_format import SampleFormat
from htc_tf.errors import ConfigError, HTCError, InputError
from htc_tf.serving import export_format as format_lib
from htc_tf.serving import frame, lowering, predict_files
from htc_tf.serving.frame import FrameRule
from htc_tf.serving.frame_graph import FrameGraph
from htc_tf.serving.predictor import HTCPredictor
from htc_tf.serving.runtimes import base, registry
from htc_tf.serving.runtimes.base import Frames, Runtime

_ENOUGH_IMAGES = 50


def export_frame_model(
  predictor: HTCPredictor,
  export_dir: str,
  runtime: str,
  height: int | None = None,
  width: int | None = None,
  calibration_images: Sequence[str] | None = None,
) -> str:
  """Write a model for another runtime, completely or not at all.

  Inputs and outputs are those of `FrameGraph`. The folder holds the model (`model.onnx`,
  `model.xml` with `model.bin`, or `model.tflite`), `export.json`, which describes the frame, and
  `categories.json`, the categories by class.

  Args:
    predictor: a single model, with its weights, that sees each image once.
    export_dir: a folder that does not exist yet.
    runtime: `onnx`, `openvino` or `tflite`.
    height: height of the frame that images are padded to; None for the short side of the resized
      images of the model, 800 as published, rounded up to a number that the model can read.
    width: its width; None for the long side, 1344 as published.
    calibration_images: image files, or folders of them, such as the model will see; convolutions
      then compute in 8 bits, with the ranges of activations in these images. None for float32.

  Returns:
    `export_dir`.

  Raises:
    InputError: `export_dir` is in use, remote or cannot be written, there is no such runtime, the
      frame has a size that the model cannot read, the model has several views, the runtime has no
      8 bits, or an image is missing or cannot be read.
    ConfigError: packages of the runtime are missing, or it lacks operations of the model.
  """
  check_options(export_dir, runtime, calibration_images)
  chosen = registry.find(runtime)
  rule = predictor.input_rules[0]
  default = lowering.default_hw(predictor.model, (rule.min_size, rule.max_size))
  graph = FrameGraph(
    predictor,
    default[0] if height is None else height,
    default[1] if width is None else width,
  )
  _warn_of_reduced_images(graph.rule)
  with files.new_folder_when_written(export_dir, last=chosen.model_file) as folder:
    frames = None if calibration_images is None else _frames(calibration_images, graph.rule)
    _convert(chosen, graph, folder, frames)
    description = _description(graph, chosen, predictor)
    description['precision'] = 'float32' if frames is None else 'int8'
    content = json.dumps(description, indent=2).encode()
    files.write_bytes(os.path.join(folder, format_lib.FORMAT_FILE), content)
    format_lib.write_categories(predictor.dataset_info, folder)
  logging.info('Exported to %s', export_dir)
  return file_systems.without_final_slash(export_dir)


def _warn_of_reduced_images(rule: FrameRule) -> None:
  """Log a warning if the frame cannot hold all images in the size that the model sees otherwise."""
  short, long = sorted((rule.min_size, rule.max_size))
  factors = {
    name: min(np.divide(frame.resized_hw(image_hw, rule), image_hw))
    for name, image_hw in (('wide', (short, long)), ('upright', (long, short)))
  }
  reduced = [f'{name} images to {factor:.2f}' for name, factor in factors.items() if factor < 0.99]
  if reduced:
    logging.warning(
      'The frame of %dx%d reduces %s of the size that the model sees without a frame, which costs '
      'detections; one of %dx%d, rounded up to a size that the model can read, holds all images',
      *(rule.height, rule.width, ' and '.join(reduced), long, long),
    )


def check_options(
  export_dir: str, runtime: str, calibration_images: Sequence[str] | None = None
) -> None:
  """Check everything that can be checked before the model is loaded, which takes long.

  The arguments and errors are those of `export_frame_model`.
  """
  chosen = registry.find(runtime)
  packages = list(chosen.packages_to_convert)
  if calibration_images is not None:
    if chosen.convert_to_int8 is None:
      raise InputError(
        f'An export to {chosen.title} has no 8 bits',
        expected='one of the formats ' + ', '.join(registry.names_with_int8()),
        got=chosen.name,
        likely_cause='images for 8 bits (--calibration_images) with another --format',
      )
    packages += chosen.packages_to_run
    predict_files.list_images(calibration_images)
  base.check_installed(f'An export to {chosen.title}', packages)
  file_systems.check_local(export_dir, 'The export folder (--output)')
  files.check_new_folder(export_dir)


def _frames(calibration_images: Sequence[str], rule: FrameRule) -> Frames:
  """Inputs of the graph for each image."""
  paths = predict_files.list_images(calibration_images)
  if len(paths) < _ENOUGH_IMAGES:
    logging.warning(
      'The ranges of activations come from %d images; from %d on, they are stable',
      *(len(paths), _ENOUGH_IMAGES),
    )
  sample_format = SampleFormat(rule.num_channels, rule.bits)
  for path in progress.track(paths, description='ranges of activations', unit='image'):
    samples = predict_files.read_image(path, sample_format).samples(sample_format)
    placed = frame.place(samples, rule)
    yield {'images': placed.images, 'image_shape': placed.image_shape}


def _convert(runtime: Runtime, graph: FrameGraph, folder: str, frames: Frames | None) -> None:
  """Write the model; what the converter does not support is a ConfigError."""
  try:
    with file_errors.as_input_errors():
      if frames is None:
        runtime.convert(graph, folder)
      elif runtime.convert_to_int8 is not None:  # `check_options` refuses other runtimes.
        runtime.convert_to_int8(graph, folder, frames)
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
