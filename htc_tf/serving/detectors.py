"""Detectors that run on this machine, from a model directory, a checkpoint or a SavedModel."""

import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from htc_tf.data.images import SourceImage
from htc_tf.errors import CheckpointError
from htc_tf.serving import export_format as format_lib
from htc_tf.serving import loading
from htc_tf.serving.instances import Instances, read_outputs
from htc_tf.serving.predict_files import Detector

# Function from [1, height, width, 3] uint8 to arrays by output name.
_Run = Callable[[np.ndarray], dict[str, np.ndarray]]


def load_detector(
  path: str, experiment: str | None = None, params_override: str | Sequence[str] = ''
) -> Detector:
  """The detector of a model directory, a checkpoint or a SavedModel folder.

  Raises:
    CheckpointError: there is no model, its weights do not fit the configuration, or the SavedModel
      lacks a signature.
    ConfigError: the configuration cannot be built.
    InputError: `export.json` or `categories.json` of a SavedModel cannot be read.
  """
  if os.path.exists(os.path.join(path, 'saved_model.pb')):
    return _load_saved_model(path)
  model = loading.load_model(path, experiment, params_override)
  info = model.dataset_info

  def run(images: np.ndarray) -> dict[str, np.ndarray]:
    return model.predict(images, verbose=0)

  return Detector(
    _one_by_one(run, format_lib.ExportFormat()),
    info.category_names if info else [],
    info.category_ids if info else [],
  )


def _load_saved_model(path: str) -> Detector:
  export_format, categories = format_lib.read_format(path), format_lib.read_categories(path)
  loaded = tf.saved_model.load(path)
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

  return Detector(_one_by_one(run, export_format), *categories)


def _one_by_one(
  run: _Run, export_format: format_lib.ExportFormat
) -> Callable[[Sequence[SourceImage]], list[Instances]]:
  """A function that detects in one image at a time, so that no image is padded for another."""

  def detect(images: Sequence[SourceImage]) -> list[Instances]:
    return [
      read_outputs(run(image.pixels()[np.newaxis]), 0, image.size, export_format)
      for image in images
    ]

  return detect
