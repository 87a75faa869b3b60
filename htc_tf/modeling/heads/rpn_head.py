"""Region proposal head in the published layout."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras


class RPNHead(tf_keras.layers.Layer):
  """A 3x3 convolution with ReLU, then 1x1 convolutions to logits and deltas, for all levels.

  Model Garden's head has separate norms for each level, for which the published checkpoints have no
  weights; inputs, outputs and their order are the same (Ren et al. 2015, section 3.1).

  Args:
    num_anchors: number of anchors per position.
    num_filters: channels of the 3x3 convolution.
    **kwargs: arguments of Layer.
  """

  def __init__(self, num_anchors: int = 3, num_filters: int = 256, **kwargs: Any):
    super().__init__(**kwargs)
    self._conv = self._conv2d(num_filters, 3, 'rpn_conv', activation='relu')
    # Always float32: in 16 bits, scores would tie and boxes would move by pixels.
    self._logits = self._conv2d(num_anchors, 1, 'rpn_cls', dtype=tf.float32)
    self._deltas = self._conv2d(4 * num_anchors, 1, 'rpn_reg', dtype=tf.float32)

  def _conv2d(
    self, filters: int, kernel_size: int, name: str, **kwargs: Any
  ) -> tf_keras.layers.Conv2D:
    return tf_keras.layers.Conv2D(
      filters,
      kernel_size,
      padding='same',
      name=name,
      kernel_initializer=tf_keras.initializers.RandomNormal(stddev=0.01),
      **kwargs,
    )

  def call(
    self, features: Mapping[str, tf.Tensor]
  ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """Class logits and box deltas of every anchor.

    Args:
      features: {'2': [batch, h, w, channels], ...} by level.

    Returns:
      Logits {level: [batch, h, w, num_anchors]} and deltas {level: [batch, h, w, 4 * num_anchors]},
      both float32; the deltas are dy, dx, dh, dw, anchor by anchor.
    """
    logits: dict[str, tf.Tensor] = {}
    deltas: dict[str, tf.Tensor] = {}
    for level, x in features.items():
      # One level at a time, so that only one map of hidden features is in memory.
      with tf.control_dependencies([*logits.values(), *deltas.values()]):
        hidden = self._conv(x)
      logits[level], deltas[level] = self._logits(hidden), self._deltas(hidden)
    return logits, deltas
