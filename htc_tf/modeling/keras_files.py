"""Keras models that cannot be saved as Keras files, and say so before they write one."""

from typing import Any, NoReturn

import tf_keras

from htc_tf.errors import InputError


class WithoutKerasFiles(tf_keras.Model):
  """A Keras model whose configuration is not made of constructor arguments.

  Keras would write files for such a model that it cannot load again. Weights alone can be saved
  with `save_weights` and loaded into a model of the same configuration.
  """

  def save(self, filepath: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Raise InputError, before a file is written; see `htc_tf.serving.export`."""
    self._refuse(f'save({str(filepath)!r})')

  def get_config(self) -> NoReturn:
    """Raise InputError; Keras calls this to write or copy a model."""
    self._refuse('get_config, to_json, clone_model or save_model')

  def _refuse(self, call: str) -> NoReturn:
    name = type(self).__name__
    raise InputError(
      f'{name} cannot be written as a Keras model',
      expected='a SavedModel, written by htc-export or '
      'htc_tf.serving.export.export_saved_model(htc_tf.load_model(directory), folder); or the '
      'weights alone, written by save_weights',
      got=call,
      likely_cause=f'Keras could not load the file: the configuration of {name} is params.yaml '
      'in the model directory',
    )
