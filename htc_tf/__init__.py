"""Hybrid Task Cascade for TensorFlow, as a Model Garden project."""

from htc_tf.version import __version__

__all__ = ['__version__', 'load_model']


def __getattr__(name: str) -> object:
  # TensorFlow takes seconds to import, and commands that only print their help do not need it.
  if name == 'load_model':
    from htc_tf.serving.loading import load_model

    return load_model
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
