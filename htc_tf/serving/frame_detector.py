"""The detector of an export for another runtime."""

import json
import os
from collections.abc import Sequence

import numpy as np

from htc_tf import file_systems
from htc_tf.data.images import SourceImage
from htc_tf.data.sample_format import SampleFormat
from htc_tf.errors import CheckpointError, InputError
from htc_tf.serving import export_format as format_lib
from htc_tf.serving import frame
from htc_tf.serving.export_format import ExportFormat
from htc_tf.serving.frame import FrameRule
from htc_tf.serving.instances import Instances, read_outputs
from htc_tf.serving.predict_files import Detector
from htc_tf.serving.runtimes import base, registry
from htc_tf.serving.runtimes.base import Run


def is_frame_export(path: str) -> bool:
  """Whether a path is the folder of an export for another runtime."""
  return any(
    file_systems.exists(os.path.join(path, registry.find(name).model_file))
    for name in registry.NAMES
  )


def load_frame_detector(path: str) -> Detector:
  """The detector of a folder that `frame_export` wrote.

  Args:
    path: the folder.

  Raises:
    CheckpointError: the runtime cannot read the model.
    ConfigError: packages of the runtime are missing.
    InputError: another file of the folder cannot be read, or the path is remote.
  """
  file_systems.check_local(path, 'The model path (--model)')
  name, rule, export_format = _read_description(os.path.join(path, format_lib.FORMAT_FILE))
  categories = format_lib.read_categories(path)
  run = _load(name, path)

  def detect(images: Sequence[SourceImage]) -> list[Instances]:
    return [_detect_one(run, rule, export_format, image) for image in images]

  return Detector(
    detect,
    *categories,
    sample_format=SampleFormat(rule.num_channels, rule.bits),
    class_agnostic_nms=export_format.class_agnostic_nms,
  )


def _detect_one(
  run: Run, rule: FrameRule, export_format: ExportFormat, image: SourceImage
) -> Instances:
  samples = image.samples(SampleFormat(rule.num_channels, rule.bits))
  placed = frame.place(samples, rule)
  outputs = run({'images': placed.images, 'image_shape': placed.image_shape})
  boxes = frame.boxes_in_image(outputs['detection_boxes'][0], placed)
  outputs = {**outputs, 'detection_boxes': boxes[np.newaxis]}
  return read_outputs(outputs, 0, image.size, export_format)


def _load(name: str, path: str) -> Run:
  runtime = registry.find(name)
  base.check_installed(f'An export to {runtime.title}', runtime.packages_to_run)
  model = os.path.join(path, runtime.model_file)
  try:
    return runtime.load(model)
  except Exception as error:  # Each runtime has errors of its own.
    raise CheckpointError(
      f'{model} cannot be loaded',
      expected='a complete model that htc-export wrote',
      got=' '.join(str(error).split())[:500],
      likely_cause='an interrupted copy; export again',
    ) from error


def _read_description(path: str) -> tuple[str, FrameRule, ExportFormat]:
  """The name of the runtime, the rule of the frame, and the form of the outputs."""
  content = format_lib.read_json(path)
  entries = content.get('frame')
  sides = entries.values() if isinstance(entries, dict) else ()
  if (
    not isinstance(content.get('format'), str)
    or not isinstance(entries, dict)
    or set(entries) != set(FrameRule._fields)
    or not all(isinstance(side, int) and side > 0 for side in sides)
  ):
    raise InputError(
      f'{path} cannot be read',
      expected=f'the entries format, and frame with positive {", ".join(FrameRule._fields)}',
      got=json.dumps({name: content.get(name) for name in ('format', 'frame')}),
      likely_cause='a file of another kind, or an export of another version',
    )
  known = ('mask_threshold', 'class_agnostic_nms')
  export_format = ExportFormat(**{name: content[name] for name in known if name in content})
  export_format.check()
  return content['format'], FrameRule(**entries), export_format
