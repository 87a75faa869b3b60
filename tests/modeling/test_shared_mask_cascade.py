"""Tests of the cascade whose stages share a mask branch, with a small model."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.shared_mask_cascade import SharedMaskCascade
from htc_tf.tasks.htc import model_inputs
from tests import tiny

SCNET = {
  'cascade': {
    'interleaved': False,
    'mask_information_flow': False,
    'shared_mask': True,
    'feature_relay': True,
  },
  'mask_head': {'num_convs': 2, 'residual': True},
}


def _model(num_stages=2, **overrides):
  config = tiny.model(num_stages, **{**SCNET, **overrides})
  return config, tiny.build(config, seed=3)


@pytest.mark.parametrize('num_stages', [1, 2, 3])
def test_only_the_last_stage_has_masks_of_its_own_rois(num_stages):
  config, model = _model(num_stages)
  assert isinstance(model.cascade, SharedMaskCascade)
  images, labels = tiny.batch(config)
  stages = model(model_inputs(images, labels), training=True).stages
  assert [stage.masks is None for stage in stages] == [True] * (num_stages - 1) + [False]
  last = stages[-1]
  num = last.masks.valid.shape[1]
  np.testing.assert_array_equal(last.masks.valid, last.rois.positive[:, :num])
  assert np.any(last.masks.valid)


def test_a_mask_depends_on_the_relayed_feature_and_the_global_context():
  config, model = _model(global_context={'enabled': True, 'num_convs': 2})
  images, _ = tiny.batch(config)
  inputs = {'images': images, 'image_shape': tf.constant([[64.0, 64.0]] * 2)}
  features, _ = model.extract(inputs, training=False)
  boxes = tf.constant([[[4.0, 4, 40, 40]]] * 2)
  classes = tf.constant([[1]] * 2)
  before = model.cascade.segment(features, boxes, classes)
  other = features._replace(context=features.context + 1.0)
  assert np.abs(model.cascade.segment(other, boxes, classes) - before).max() > 1e-4
  model.cascade.relay._fc.bias.assign_add(tf.ones_like(model.cascade.relay._fc.bias))
  assert np.abs(model.cascade.segment(features, boxes, classes) - before).max() > 1e-4


def test_the_gradient_of_the_masks_reaches_the_last_box_head_alone():
  config, model = _model()
  images, labels = tiny.batch(config)
  with tf.GradientTape() as tape:
    stages = model(model_inputs(images, labels), training=True).stages
    total = tf.reduce_sum(stages[-1].masks.logits)
  heads = [stage.box_head._fcs[0].kernel for stage in model.cascade.stages]
  first, last = tape.gradient(total, heads)
  assert first is None or not np.any(first)
  assert np.any(last)
