"""Variables of frozen layers, which gradient tapes do not watch."""

import contextlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras


class FrozenVariablesMixin(tf_keras.layers.Layer):
  """Mixin for Keras layers: variables that are built while the layer is frozen are not trainable.

  Keras only removes such variables from `trainable_variables`. A tape would still record the
  operations that read them, and keep the activations.

  It is a Layer so that `add_weight` and `trainable` are defined. It must be the first base class.
  """

  def add_weight(self, *args: Any, trainable: bool | None = None, **kwargs: Any) -> tf.Variable:
    """A new variable, as Keras creates it, but not trainable while the layer is frozen."""
    return super().add_weight(*args, trainable=trainable if self.trainable else False, **kwargs)


def creating_frozen() -> contextlib.AbstractContextManager[None]:
  """Context in which all variables are created as not trainable, so that no tape watches them."""
  return tf.variable_creator_scope(_create_frozen)


def _create_frozen(create: Callable[..., tf.Variable], **arguments: Any) -> tf.Variable:
  return create(**{**arguments, 'trainable': False})
