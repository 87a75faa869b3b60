"""SavedModel export for TensorFlow Serving and for processes without htc_tf."""

import json
import os
import shutil

import tensorflow as tf
from absl import logging

from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import InputError
from htc_tf.serving import export_format as format_lib
from htc_tf.serving import warmup as warmup_lib
from htc_tf.serving.predictor import HTCPredictor
from htc_tf.serving.served_model import ServedModel

BATCHING_FILE = 'batching_params.pbtxt'

# Two batches at a time: one is decoded while the other computes.
_BATCHING = """max_batch_size {{ value: {max_batch_size} }}
batch_timeout_micros {{ value: 10000 }}
max_enqueued_batches {{ value: 100 }}
num_batch_threads {{ value: 2 }}
"""


def export_saved_model(
  predictor: HTCPredictor,
  export_dir: str,
  export_format: format_lib.ExportFormat = format_lib.ExportFormat(),
  warmup: bool = True,
  max_batch_size: int = 8,
) -> str:
  """Writes a SavedModel, whole or not at all.

  Signatures and outputs are those of `ServedModel`. Beside the model: `categories.json`, the
  categories by class; `export.json`, the export format; `batching_params.pbtxt` for the server's
  `--batching_parameters_file`; and the warm-up requests.

  Args:
    predictor: with its weights.
    export_dir: a folder that does not exist yet, e.g. `export/1` for TensorFlow Serving.
    export_format: the form of boxes and masks.
    warmup: whether to write warm-up requests, which takes tensorflow-serving-api.
    max_batch_size: pictures the server may put into one batch.

  Returns:
    `export_dir`.

  Raises:
    InputError: `export_dir` exists and is not empty or cannot be made, or an export format the
      model cannot have.
    ConfigError: tensorflow-serving-api is missing.
  """
  check_options(export_dir, export_format, warmup, max_batch_size)
  _check_has_masks(predictor, export_format)
  export_dir = _without_slash(export_dir)
  parent, name = os.path.split(export_dir)
  # Hidden and no number: TensorFlow Serving does not take it for a version.
  temporary = os.path.join(parent, f'.{name}.{os.getpid()}.part')
  try:
    module = ServedModel(predictor, export_format)
    _save(module, temporary)
    if warmup:
      warmup_lib.write_requests(temporary)
    format_lib.write_format(export_format, temporary)
    with open(os.path.join(temporary, BATCHING_FILE), 'w', encoding='utf-8') as file:
      file.write(_BATCHING.format(max_batch_size=max_batch_size))
    _write_categories(predictor.dataset_info, temporary)
    if os.path.isdir(export_dir):
      os.rmdir(export_dir)
    os.rename(temporary, export_dir)
  finally:
    shutil.rmtree(temporary, ignore_errors=True)
  logging.info('Exported to %s', export_dir)
  return export_dir


def _save(module: ServedModel, folder: str) -> None:
  try:
    tf.saved_model.save(module, folder, signatures=module.served)
  except (
    tf.errors.FailedPreconditionError,
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.ResourceExhaustedError,
  ) as error:
    raise InputError(
      f'{folder} cannot be written',
      expected='a folder that can be made, and room on its disk',
      got=error.message,
      likely_cause='a full disk, a file in the '
      'place of a folder above it, or one that may not be written',
    ) from error


def check_options(
  export_dir: str, export_format: format_lib.ExportFormat, warmup: bool, max_batch_size: int
) -> None:
  """Raises what `export_saved_model` would raise without the model, which takes long to load."""
  export_format.check()
  if max_batch_size < 1:
    raise InputError(
      'The server cannot make batches', expected='a batch size from 1', got=str(max_batch_size)
    )
  path = _without_slash(export_dir)
  if os.path.exists(path) and (not os.path.isdir(path) or os.listdir(path)):
    raise InputError(
      f'{path} cannot be written',
      expected='a new folder',
      got='one with files in it' if os.path.isdir(path) else 'a file',
      likely_cause='an earlier export; serving takes versions 1, 2, 3, ... side by side',
    )
  if warmup:
    warmup_lib.check_available()


def _without_slash(path: str) -> str:
  return os.fspath(path).rstrip('/')


def _check_has_masks(predictor: HTCPredictor, export_format: format_lib.ExportFormat) -> None:
  """Raises InputError if masks are to be pasted of a model that has none."""
  if export_format.masks != 'cropped' and predictor.model.cascade.mask_features is None:
    raise InputError(
      f'The masks cannot be {export_format.masks}',
      expected='a model with masks',
      got='one of boxes alone',
      likely_cause='a configuration without task.model.include_mask; leave out --masks',
    )


def _write_categories(info: DatasetInfo | None, folder: str) -> None:
  """{class: {id, name}} as JSON; nothing where the categories are unknown."""
  if info is None:
    return
  content = {str(c.label): {'id': c.id, 'name': c.name} for c in info.categories}
  with open(os.path.join(folder, format_lib.CATEGORIES_FILE), 'w', encoding='utf-8') as file:
    json.dump(content, file, indent=2)
