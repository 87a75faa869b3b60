"""Tests of the RPN head by hand-computed cases.

test_published_layout.py compares it with published values.
"""

import numpy as np
import tensorflow as tf

from htc_tf.modeling.heads.rpn_head import RPNHead


def gradients_of(layer, *inputs):
  with tf.GradientTape() as tape:
    outputs = tf.nest.flatten(layer(*inputs))
    total = tf.add_n([tf.reduce_sum(tf.cast(value, tf.float32) ** 2) for value in outputs])
  return tape.gradient(total, layer.trainable_variables)


def test_rpn_head_is_shared_by_levels():
  head = RPNHead(num_anchors=3, num_filters=4)
  x = tf.random.stateless_normal([2, 4, 6, 4], [1, 2])
  logits, deltas = head({'2': x, '5': x})
  assert logits['2'].shape == [2, 4, 6, 3] and deltas['2'].shape == [2, 4, 6, 12]
  np.testing.assert_array_equal(logits['2'], logits['5'])
  assert len(head.trainable_variables) == 6
  assert all(
    np.any(g)
    for v, g in zip(head.trainable_variables, gradients_of(head, {'2': x}))
    if 'kernel' in v.name
  )
