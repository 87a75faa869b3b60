"""Hybrid Task Cascade for TensorFlow, as a Model Garden project."""

from htc_tf.version import __version__

__all__ = ['__version__', 'load_model']


def __getattr__(name: str) -> object:
  # TensorFlow takes seconds to import, and commands that only print their help do not need it.
  if name == 'load_model':
    return _load_model()
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def _load_model() -> object:
  """The function `load_model`."""
  import matplotlib

  # Importing Model Garden selects a backend that shows nothing, so that a notebook that has called
  # this function would lack its later pictures.
  backend = matplotlib.get_backend(auto_select=False)  # None if it has not been selected yet.
  from htc_tf.serving.loading import load_model

  if backend is not None:
    matplotlib.use(backend)
  return load_model
