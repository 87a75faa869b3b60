"""Global context head: a feature of the whole image, trained to tell the classes in it."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.residual_convs import ResidualConvs


class GlobalContextHead(tf_keras.layers.Layer):
  """Global context branch of SCNet (Vu et al. 2021, section 3.3).

  Residual convolutions on the coarsest level and their mean over the image give a feature, which is
  added to the RoI features of boxes and masks.

  Args:
    num_classes: number of classes, including background, which has no logit.
    num_convs: number of 3x3 convolutions, two for each shortcut.
    num_filters: number of channels, that of the pyramid.
    **kwargs: arguments of Layer.
  """

  def __init__(self, num_classes: int, num_convs: int = 4, num_filters: int = 256, **kwargs: Any):
    super().__init__(**kwargs)
    self._num_filters = num_filters
    self._convs = [ResidualConvs(num_filters, name=f'convs/{i}') for i in range(num_convs // 2)]
    self._logits = tf_keras.layers.Dense(
      num_classes - 1,
      kernel_initializer=tf_keras.initializers.RandomNormal(stddev=0.01),
      name='fc',
      dtype=tf.float32,
    )

  def build(self, input_shape: Mapping[str, Sequence[int | None]]) -> None:
    """Create the variables of the classifier, which detection does not call."""
    with tf.name_scope(self._logits.name):
      self._logits.build([None, self._num_filters])
    super().build(input_shape)

  def call(self, pyramid: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The feature of each image, [batch, num_filters]: a mean over the padded image, as published.

    Args:
      pyramid: {'2': [batch, h, w, num_filters], ...} by level; the coarsest one is read.
    """
    x = pyramid[max(pyramid, key=int)]
    for convs in self._convs:
      x = convs(x)
    return tf.reduce_mean(x, [1, 2])

  def classify(self, feature: tf.Tensor) -> tf.Tensor:
    """Logits of the classes, [batch, num_classes - 1] float32, class 1 first.

    Args:
      feature: [batch, num_filters] of `call`.
    """
    return self._logits(feature)
