"""Region proposal head in the published layout."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras


class RPNHead(tf_keras.layers.Layer):
  """One 3x3 convolution with ReLU, then 1x1 to logits and deltas, shared by all levels.

  Model Garden's head normalises each level on its own, which the published weights do not know;
  inputs, outputs and their order are the same (Ren et al. 2015, section 3.1).

  Args:
    num_anchors: anchors a position.
    num_filters: channels of the 3x3 convolution.
    **kwargs: passed to Layer.
  """

  def __init__(self, num_anchors: int = 3, num_filters: int = 256, **kwargs: Any):
    super().__init__(**kwargs)
    self._conv = self._conv2d(num_filters, 3, 'rpn_conv', activation='relu')
    # In float32 whatever the features are: of 16 bits, scores would tie and boxes move by pixels.
    self._logits = self._conv2d(num_anchors, 1, 'rpn_cls', dtype=tf.float32)
    self._deltas = self._conv2d(4 * num_anchors, 1, 'rpn_reg', dtype=tf.float32)

  def _conv2d(self, filters, kernel_size, name, **kwargs):
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
    """Scores and box deltas of every anchor.

    Args:
      features: {'2': [batch, h, w, channels], ...} by level.

    Returns:
      logits {level: [batch, h, w, num_anchors]} and deltas {level: [batch, h, w, 4 num_anchors]},
      float32, the latter anchor by anchor as dy, dx, dh, dw.
    """
    logits, deltas = {}, {}
    for level, x in features.items():
      # A level at a time, so that one map of hidden features is held.
      with tf.control_dependencies([*logits.values(), *deltas.values()]):
        hidden = self._conv(x)
      logits[level], deltas[level] = self._logits(hidden), self._deltas(hidden)
    return logits, deltas
