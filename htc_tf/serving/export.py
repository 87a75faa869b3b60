"""SavedModel export for TensorFlow Serving and for processes without htc_tf."""

import json
import os
import shutil
from typing import Optional

from absl import logging
import tensorflow as tf

from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import InputError
from htc_tf.serving.predictor import HTCPredictor

CATEGORIES_FILE = 'categories.json'


class _ServedModel(tf.Module):
  """The variables and signatures of a predictor, without any Keras object.

  A SavedModel of Keras layers asks for their classes when loaded; this one holds variables and
  graphs only, so that a process without htc_tf, Model Garden or Keras loads it.
  """

  def __init__(self, predictor: HTCPredictor):
    super().__init__()
    self.model_variables = list(predictor.variables)
    self.from_images = tf.function(
        lambda inputs: predictor(inputs),  # pylint: disable=unnecessary-lambda
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name='inputs')])
    self.from_bytes = tf.function(
        lambda image_bytes: predictor.detect_encoded(image_bytes),  # pylint: disable=unnecessary-lambda
        input_signature=[tf.TensorSpec([None], tf.string, name='image_bytes')])


def export_saved_model(predictor: HTCPredictor, export_dir: str) -> str:
  """Writes a SavedModel.

  Signatures: `serving_default` (`inputs` [batch, height, width, 3] uint8) and `image_bytes`
  (`image_bytes` [batch] string, JPEG or PNG of any sizes). Outputs are those of
  `HTCPredictor.call`. Categories go into `categories.json` beside the model, by class.

  Args:
    predictor: with its weights.
    export_dir: a folder that does not exist yet, e.g. `export/1` for TensorFlow Serving.

  Returns:
    `export_dir`.

  Raises:
    InputError: `export_dir` exists and is not empty.
  """
  export_dir = os.fspath(export_dir).rstrip('/')
  if os.path.exists(export_dir) and os.listdir(export_dir):
    raise InputError(f'{export_dir} cannot be written', expected='a new folder',
                     got='one with files in it', likely_cause='an earlier export; serving takes '
                     'versions 1, 2, 3, ... side by side')
  temporary = f'{export_dir}.{os.getpid()}.part'
  try:
    module = _ServedModel(predictor)
    tf.saved_model.save(module, temporary, signatures={
        'serving_default': module.from_images, 'image_bytes': module.from_bytes})
    _write_categories(predictor.dataset_info, temporary)
    if os.path.isdir(export_dir):
      os.rmdir(export_dir)
    os.rename(temporary, export_dir)
  finally:
    shutil.rmtree(temporary, ignore_errors=True)
  logging.info('Exported to %s', export_dir)
  return export_dir


def _write_categories(info: Optional[DatasetInfo], folder: str) -> None:
  """{class: {id, name}} as JSON; nothing where the categories are unknown."""
  if info is None:
    return
  content = {str(c.label): {'id': c.id, 'name': c.name} for c in info.categories}
  with open(os.path.join(folder, CATEGORIES_FILE), 'w', encoding='utf-8') as file:
    json.dump(content, file, indent=2)
