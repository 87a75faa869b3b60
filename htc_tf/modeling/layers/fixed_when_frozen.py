"""Variables of frozen layers that no gradient tape watches."""

from typing import Any

import tensorflow as tf


class FixedWhenFrozen:
  """Mixin of a Keras layer: what is built while the layer is frozen is no trainable variable.

  Keras alone leaves such variables out of `trainable_variables`, but a tape goes on recording what
  is computed from them, and keeps the activations.
  """

  def add_weight(self, *args: Any, trainable: bool | None = None, **kwargs: Any) -> tf.Variable:
    """Makes a variable as Keras does; not a trainable one while the layer is frozen."""
    return super().add_weight(*args, trainable=trainable if self.trainable else False, **kwargs)
