"""Hybrid Task Cascade for TensorFlow, as a Model Garden project."""

from htc_tf import matplotlib_backend
from htc_tf.version import __version__

__all__ = ['__version__', 'load_model']

# Any module of this package may be the one that imports Model Garden first.
matplotlib_backend.keep()


def __getattr__(name: str) -> object:
  # TensorFlow takes seconds to import, and commands that only print their help do not need it.
  if name == 'load_model':
    from htc_tf.serving.loading import load_model

    return load_model
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
