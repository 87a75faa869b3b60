"""Atrous spatial pyramid pooling."""

from typing import Any

import tensorflow as tf
import tf_keras

_DILATIONS = (1, 3, 6)


class AtrousPooling(tf_keras.layers.Layer):
  """Atrous spatial pyramid pooling as in DetectoRS (2020, section 3.2; Chen et al. 2017).

  The output has four branches of as many channels, each a convolution, with bias and ReLU: a 1x1
  convolution, 3x3 convolutions of dilation 3 and 6, and a 1x1 convolution of the mean of the map.

  Input [batch, height, width, channels]; output [batch, height, width, 4 * filters].

  Args:
    filters: channels of each branch.
    **kwargs: arguments of Layer.
  """

  def __init__(self, filters: int, **kwargs: Any):
    super().__init__(**kwargs)
    self._convs = [
      tf_keras.layers.Conv2D(
        filters,
        3 if dilation > 1 else 1,
        padding='same',
        dilation_rate=dilation,
        activation='relu',
        kernel_initializer='he_normal',
        name=f'aspp/{index}',
      )
      for index, dilation in enumerate((*_DILATIONS, 1))
    ]

  def call(self, x: tf.Tensor) -> tf.Tensor:
    """The concatenated branches; see the class docstring for the shapes."""
    *convs, conv_of_mean = self._convs
    mean = tf.reduce_mean(tf.cast(x, tf.float32), [1, 2], keepdims=True)
    of_mean = conv_of_mean(tf.cast(mean, x.dtype))  # [batch, 1, 1, filters]
    branches = [conv(x) for conv in convs]
    branches.append(tf.broadcast_to(of_mean, tf.shape(branches[0])))
    return tf.concat(branches, -1)
