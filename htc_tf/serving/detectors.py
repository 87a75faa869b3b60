"""Detectors that run on this machine, from a model directory, a checkpoint or an export."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from htc_tf import file_errors, file_systems
from htc_tf.checkpoints import readability
from htc_tf.errors import CheckpointError, InputError
from htc_tf.serving import export_format as format_lib
from htc_tf.serving import frame_detector, loading
from htc_tf.serving.batch_detection import in_batches
from htc_tf.serving.members import Ensemble
from htc_tf.serving.predict_files import Detector
from htc_tf.serving.runtimes import registry

_ALONE = Ensemble()
_GRAPHS_FILE = 'saved_model.pb'


def load_detector(
  path: str,
  experiment: str | None = None,
  params_override: str | Sequence[str] = '',
  tta: str | None = None,
  ensemble: Ensemble = _ALONE,
  constant_weights: bool = False,
) -> Detector:
  """The detector of a model directory, a checkpoint or the folder of an export.

  Args:
    path: the model.
    experiment: see `loading.load_model`; none for an export, which has its own configuration.
    params_override: likewise.
    tta: likewise; the views of an export are chosen at export.
    ensemble: models that detect together with it; those of an export are chosen at export.
    constant_weights: see `loading.load_model`; an export has them anyway.

  Raises:
    CheckpointError: there is no model, its weights do not fit the configuration, or an export is
      not complete.
    ConfigError: the configuration cannot be built, or packages of a runtime are missing.
    InputError: a file of an export cannot be read, TensorFlow cannot use the file system of
      `path`, or a configuration, views or other models are asked of an export.
  """
  file_systems.check_usable(path, 'The model path (--model)')
  if is_export(path):
    choices = {'experiment': experiment, 'params_override': params_override}
    _check_no_choices(path, {**choices, 'tta': tta, 'ensemble': ensemble.paths})
    is_frame_export = frame_detector.is_frame_export(path)
    return (frame_detector.load_frame_detector if is_frame_export else _load_saved_model)(path)
  _check_no_file_of_export(path)
  model = loading.load_model(path, experiment, params_override, tta, ensemble, constant_weights)
  info = model.dataset_info
  return Detector(
    in_batches(model.run, model.in_format(format_lib.ExportFormat())),
    info.category_names if info else [],
    info.category_ids if info else [],
    sample_format=model.sample_format,
    class_agnostic_nms=model.class_agnostic_nms,
  )


def _check_no_choices(path: str, choices: Mapping[str, Any]) -> None:
  """Raise InputError if choices are made for an export, by option."""
  given = [f'--{name}={value}' for name, value in choices.items() if value]
  if given:
    raise InputError(
      'An export does what was chosen at its export',
      expected=f'{path} without these options; htc-export takes them',
      got=' '.join(given),
      likely_cause='the folder of an export in the place of that of the model',
    )


def _check_no_file_of_export(path: str) -> None:
  """Raise InputError if a path is a file in the folder of an export, in the place of the folder."""
  folder = file_systems.dirname(path) or '.'
  models = [registry.find(name).model_file for name in registry.NAMES]
  names = (_GRAPHS_FILE, format_lib.FORMAT_FILE, format_lib.CATEGORIES_FILE, *models)
  if os.path.basename(path) in names and file_systems.is_file(path) and is_export(folder):
    raise InputError(
      f'{path} is a file of an export',
      expected=f'the folder that it is in: {folder}',
      got='the file',
      likely_cause='a runtime that takes the file; this package reads its description as well',
    )


def is_export(path: str) -> bool:
  """Whether a path is the folder of an export, not a model directory or a checkpoint."""
  if not path:  # It would stand for the working directory.
    return False
  return file_systems.exists(os.path.join(path, _GRAPHS_FILE)) or (
    frame_detector.is_frame_export(path)
  )


def _load_saved_model(path: str) -> Detector:
  export_format, categories = format_lib.read_format(path), format_lib.read_categories(path)
  loaded = _load_graphs(path)
  if 'serving_default' not in loaded.signatures:
    raise CheckpointError(
      f'{path} cannot be run',
      expected='a SavedModel that htc-export wrote',
      got=f'the signatures {sorted(loaded.signatures)}',
      likely_cause='an export of another project',
    )

  def run(images: np.ndarray) -> dict[str, np.ndarray]:
    # This closure must refer to `loaded`: signatures alone do not keep the variables in memory.
    outputs = loaded.signatures['serving_default'](inputs=tf.constant(images))
    return {key: value.numpy() for key, value in outputs.items()}

  return Detector(
    in_batches(run, export_format),
    *categories,
    sample_format=export_format.sample_format,
    class_agnostic_nms=export_format.class_agnostic_nms,
  )


def _load_graphs(path: str) -> Any:
  """The SavedModel in a folder; its errors are those of `load_detector`."""
  try:
    return tf.saved_model.load(path)
  except (*readability.READ_ERRORS, OSError) as error:
    raise file_errors.explained(error, reading=True) or CheckpointError(
      f'{path} cannot be loaded',
      expected='a complete SavedModel that htc-export wrote',
      got=str(error).split('\n', 1)[0],
      likely_cause='an interrupted copy; export again',
    ) from error
