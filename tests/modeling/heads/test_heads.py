"""Tests of the heads by hand-computed cases; their published numbers are tested with the model."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.modeling.heads.box_head import BoxHead
from htc_tf.modeling.heads.mask_head import MaskHead
from htc_tf.modeling.heads.mask_predictor import MaskPredictor
from htc_tf.modeling.heads.rpn_head import RPNHead
from htc_tf.modeling.heads.semantic_head import SemanticHead


def randomize(layer):
  rng = np.random.default_rng(0)
  for variable in layer.variables:
    variable.assign(rng.normal(size=variable.shape))


def gradients_of(layer, *inputs):
  with tf.GradientTape() as tape:
    outputs = tf.nest.flatten(layer(*inputs))
    total = tf.add_n([tf.reduce_sum(tf.cast(value, tf.float32) ** 2) for value in outputs])
  return tape.gradient(total, layer.trainable_variables)


def test_box_head_keeps_rois_apart():
  head = BoxHead(num_classes=3, num_fcs=2, fc_dims=5)
  features = np.random.default_rng(0).normal(size=[2, 3, 2, 2, 4]).astype(np.float32)
  head(features)
  randomize(head)
  logits, deltas = head(features)
  assert logits.shape == [2, 3, 3] and deltas.shape == [2, 3, 4]
  alone = head(features[1:, 2:])
  np.testing.assert_allclose(alone[0][0, 0], logits[1, 2], rtol=1e-4)
  np.testing.assert_allclose(alone[1][0, 0], deltas[1, 2], rtol=1e-4)


def test_box_head_takes_no_rois():
  logits, deltas = BoxHead(num_classes=3, fc_dims=5)(tf.zeros([2, 0, 2, 2, 4]))
  assert logits.shape == [2, 0, 3] and deltas.shape == [2, 0, 4]


@pytest.mark.parametrize('num_fcs', [1, 3])
def test_box_head_gradients(num_fcs):
  head = BoxHead(num_classes=3, num_fcs=num_fcs, fc_dims=5)
  gradients = gradients_of(head, tf.ones([1, 2, 2, 2, 4]))
  assert len(gradients) == 2 * (num_fcs + 2)
  assert all(gradient is not None for gradient in gradients)


def test_mask_head_adds_the_previous_feature_after_a_convolution_and_relu():
  head = MaskHead(num_convs=0, num_filters=2, takes_previous=True)
  roi_features = tf.ones([1, 1, 1, 2])
  previous = tf.constant([[[[1.0, 2.0]]]])
  head(roi_features, previous)
  kernel, bias = head.trainable_variables
  kernel.assign([[[[1.0, -1.0], [2.0, -2.0]]]])
  bias.assign([0.5, 0.5])
  np.testing.assert_allclose(head(roi_features, previous)[0, 0, 0], [1 + 5.5, 1 + 0.0])
  np.testing.assert_allclose(head(roi_features)[0, 0, 0], [1, 1])


def test_mask_head_without_flow_ignores_the_previous_feature():
  head = MaskHead(num_convs=1, num_filters=2)
  x = tf.random.stateless_normal([1, 4, 4, 2], [1, 2])
  np.testing.assert_array_equal(head(x, 5 * x), head(x))
  assert len(head.trainable_variables) == 2


def test_mask_predictor_applies_the_kernel_of_the_class():
  predictor = MaskPredictor(num_classes=4, num_filters=2)
  features = tf.random.stateless_normal([5, 2, 2, 2], [1, 2])
  predictor(features, tf.ones([5], tf.int32))
  randomize(predictor)
  hidden = predictor._upsample(features).numpy()  # pylint: disable=protected-access
  kernel, bias = predictor._kernel.numpy(), predictor._bias.numpy()  # pylint: disable=protected-access
  logits = predictor(features, tf.constant([1, 3, 2, 0, -1]))
  assert logits.shape == [5, 4, 4]
  for row, index in enumerate([0, 2, 1, 0, 0]):  # Padding takes the first class.
    np.testing.assert_allclose(logits[row], hidden[row] @ kernel[index] + bias[index], rtol=1e-4,
                               atol=1e-5)


def test_mask_predictor_trains_only_the_asked_class():
  predictor = MaskPredictor(num_classes=4, num_filters=2)
  features = tf.ones([1, 2, 2, 2])
  predictor(features, tf.constant([2]))
  with tf.GradientTape() as tape:
    total = tf.reduce_sum(predictor(features, tf.constant([2])))
  bias = tape.gradient(total, predictor._bias)  # pylint: disable=protected-access
  np.testing.assert_array_equal(tf.convert_to_tensor(bias), [0, 16, 0])


def test_rpn_head_is_shared_by_levels():
  head = RPNHead(num_anchors=3, num_filters=4)
  x = tf.random.stateless_normal([2, 4, 6, 4], [1, 2])
  logits, deltas = head({'2': x, '5': x})
  assert logits['2'].shape == [2, 4, 6, 3] and deltas['2'].shape == [2, 4, 6, 12]
  np.testing.assert_array_equal(logits['2'], logits['5'])
  assert len(head.trainable_variables) == 6
  assert all(np.any(g) for v, g in zip(head.trainable_variables, gradients_of(head, {'2': x}))
             if 'kernel' in v.name)


def test_semantic_head_fuses_all_levels_at_one():
  head = SemanticHead(num_classes=3, levels=('2', '3', '4'), level=3, num_convs=0, num_filters=2)
  sizes = {'2': (10, 14), '3': (5, 7), '4': (3, 4)}
  zeros = {level: tf.zeros([1, *size, 2]) for level, size in sizes.items()}
  logits, embedding = head(zeros)
  assert logits.shape == [1, 5, 7, 3] and embedding.shape == [1, 5, 7, 2]
  for variable in head.variables:
    variable.assign(tf.zeros_like(variable))
  for i, layer in enumerate(head._laterals):  # pylint: disable=protected-access
    layer.kernel.assign([[[[10.0**i, 0.0], [0.0, 10.0**i]]]])
  head._embedding.kernel.assign([[[[1.0, 0.0], [0.0, 1.0]]]])  # pylint: disable=protected-access
  ramps = {level: x + tf.range(1.0, x.shape[2] + 1)[:, tf.newaxis] / x.shape[2]
           for level, x in zeros.items()}
  _, fused = head(ramps)
  # With aligned corners a ramp stays one: from its first to its last value.
  expected = sum(10.0**i * np.linspace(1 / width, 1.0, 7)
                 for i, width in enumerate((14, 7, 4)))
  np.testing.assert_allclose(fused[0, 2, :, 0], expected, rtol=1e-5)


def test_semantic_head_gradients_and_dtype_under_bfloat16():
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  try:
    head = SemanticHead(num_classes=3, levels=('2', '3'), num_convs=1, num_filters=2)
  finally:
    tf_keras.mixed_precision.set_global_policy('float32')
  maps = {'2': tf.ones([1, 4, 4, 2], tf.bfloat16), '3': tf.ones([1, 2, 2, 2], tf.bfloat16)}
  logits, embedding = head(maps)
  assert (logits.dtype, embedding.dtype) == (tf.float32, tf.bfloat16)
  assert all(gradient is not None for gradient in gradients_of(head, maps))
