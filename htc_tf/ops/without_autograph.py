"""A decorator for code that autograph must not convert."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

_Function = TypeVar('_Function', bound=Callable[..., Any])


def without_autograph(function: _Function) -> _Function:
  """The same function, which autograph converts neither itself nor what it calls.

  No code of this package needs autograph. A conversion writes a temporary file and slows tracing.
  Unlike `tf.autograph.experimental.do_not_convert`, the result keeps the signature of the function:
  otherwise Keras passes `training` to the `call` of every layer that is decorated.

  Args:
    function: function or method.
  """
  unconverted = tf.autograph.experimental.do_not_convert(function)
  unconverted.__signature__ = inspect.signature(function)
  return unconverted
