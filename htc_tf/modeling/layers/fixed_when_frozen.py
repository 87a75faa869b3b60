"""Variables of frozen layers that no gradient tape watches."""

import tensorflow as tf


class FixedWhenFrozen:
  """Mixin of a Keras layer: what is built while the layer is frozen is no trainable variable.

  Keras alone leaves such variables out of `trainable_variables`, but a tape goes on recording what
  is computed from them, and keeps the activations.
  """

  def add_weight(self, *args, trainable=None, **kwargs) -> tf.Variable:
    return super().add_weight(*args, trainable=trainable if self.trainable else False, **kwargs)
