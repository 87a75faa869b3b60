"""Variables of frozen layers, which gradient tapes do not watch."""

from typing import Any

import tensorflow as tf


class FrozenVariablesMixin:
  """Mixin for Keras layers: variables that are built while the layer is frozen are not trainable.

  Keras only removes such variables from `trainable_variables`. A tape would still record what is
  computed from them, and keep the activations.
  """

  def add_weight(self, *args: Any, trainable: bool | None = None, **kwargs: Any) -> tf.Variable:
    """A new variable, as Keras creates it, but not trainable while the layer is frozen."""
    return super().add_weight(*args, trainable=trainable if self.trainable else False, **kwargs)
