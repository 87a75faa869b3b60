"""SavedModel export for TensorFlow Serving and for processes without htc_tf."""

import os

import tensorflow as tf
from absl import logging

from htc_tf import file_errors, file_systems, files
from htc_tf.errors import InputError
from htc_tf.serving import export_format as format_lib
from htc_tf.serving import warmup as warmup_lib
from htc_tf.serving.predictor import HTCPredictor
from htc_tf.serving.served_model import ServedModel

BATCHING_FILE = 'batching_params.pbtxt'
_MODEL_FILE = 'saved_model.pb'
# An export is not trained, and gradients of a graph with constant weights cannot be saved.
_WITHOUT_GRADIENTS = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
_EARLIER_EXPORT = 'an earlier export; name a folder for another version, such as export/2'

# With two threads, one batch is decoded while the other is computed.
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
  """Write a SavedModel completely or not at all.

  Signatures and outputs are those of `ServedModel`. The folder also holds `categories.json`, the
  categories by class; `export.json`, the export format; `batching_params.pbtxt` for the server's
  `--batching_parameters_file`; and the warm-up requests.

  Args:
    predictor: model with its weights.
    export_dir: a folder that does not exist yet, e.g. `export/1` for TensorFlow Serving.
    export_format: form of boxes and masks, and the limit of pixels; the rest is that of the model.
    warmup: whether to write warm-up requests, which requires tensorflow-serving-api.
    max_batch_size: largest number of images that the server puts into one batch.

  Returns:
    `export_dir`.

  Raises:
    InputError: `export_dir` is in use or cannot be written, an option is out of range, or the
      model has no masks to paste.
    ConfigError: tensorflow-serving-api is missing.
  """
  check_options(export_dir, export_format, warmup, max_batch_size)
  _check_has_masks(predictor, export_format)
  export_format = predictor.in_format(export_format)
  module = ServedModel(predictor, export_format)
  # TensorFlow Serving loads folders named by a number; the temporary folder is not.
  with files.new_folder_when_written(export_dir, _EARLIER_EXPORT, _MODEL_FILE) as folder:
    with file_errors.as_input_errors():
      tf.saved_model.save(module, folder, module.served, _WITHOUT_GRADIENTS)
    if warmup:
      warmup_lib.write_requests(folder, predictor.sample_format)
    format_lib.write_format(export_format, folder)
    batching = _BATCHING.format(max_batch_size=max_batch_size)
    files.write_bytes(os.path.join(folder, BATCHING_FILE), batching.encode())
    format_lib.write_categories(predictor.dataset_info, folder)
  logging.info('Exported to %s', export_dir)
  return file_systems.without_final_slash(export_dir)


def check_options(
  export_dir: str, export_format: format_lib.ExportFormat, warmup: bool, max_batch_size: int
) -> None:
  """Check everything that can be checked before the model is loaded, which takes long.

  The arguments are those of `export_saved_model`.

  Raises:
    InputError: `export_dir` is in use, or an option is out of range.
    ConfigError: tensorflow-serving-api is missing.
  """
  export_format.check()
  if max_batch_size < 1:
    raise InputError(
      'The batch size is out of range', expected='1 or more', got=str(max_batch_size)
    )
  file_systems.check_usable(export_dir, 'The export folder (--output)')
  files.check_new_folder(export_dir, _EARLIER_EXPORT)
  if warmup:
    warmup_lib.check_available()


def _check_has_masks(predictor: HTCPredictor, export_format: format_lib.ExportFormat) -> None:
  """Raise InputError if masks are to be pasted and the model has none."""
  if export_format.masks != 'cropped' and predictor.model.cascade.mask_features is None:
    raise InputError(
      f'The masks cannot be {export_format.masks}',
      expected='a model with masks',
      got='a model without masks',
      likely_cause='a configuration without task.model.include_mask; omit --masks',
    )
