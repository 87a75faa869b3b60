"""Tests of the mask predictor by hand-computed cases.

test_published_layout.py compares it with published values.
"""

import numpy as np
import tensorflow as tf

from htc_tf.modeling.heads.mask_predictor import MaskPredictor


def randomize(layer):
  rng = np.random.default_rng(0)
  for variable in layer.variables:
    variable.assign(rng.normal(size=variable.shape))


def test_mask_predictor_applies_the_kernel_of_the_class():
  predictor = MaskPredictor(num_classes=4, num_filters=2)
  features = tf.random.stateless_normal([5, 2, 2, 2], [1, 2])
  predictor(features, tf.ones([5], tf.int32))
  randomize(predictor)
  hidden = predictor._upsample(features).numpy()
  kernel, bias = predictor._kernel.numpy(), predictor._bias.numpy()
  logits = predictor(features, tf.constant([1, 3, 2, 0, -1]))
  assert logits.shape == [5, 4, 4]
  for row, index in enumerate([0, 2, 1, 0, 0]):  # Padding uses the first class.
    np.testing.assert_allclose(
      logits[row], hidden[row] @ kernel[index] + bias[index], rtol=1e-4, atol=1e-5
    )


def test_mask_predictor_trains_only_the_given_class():
  predictor = MaskPredictor(num_classes=4, num_filters=2)
  features = tf.ones([1, 2, 2, 2])
  predictor(features, tf.constant([2]))
  with tf.GradientTape() as tape:
    total = tf.reduce_sum(predictor(features, tf.constant([2])))
  bias = tape.gradient(total, predictor._bias)
  np.testing.assert_array_equal(tf.convert_to_tensor(bias), [0, 16, 0])
