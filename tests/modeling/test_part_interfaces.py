"""Tests of what the model asks of backbones and decoders beside Model Garden's interface."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.modeling.part_interfaces import CompositeBackbone, ImageReadingDecoder
from htc_tf.tasks.htc import model_inputs
from tests import tiny

RECURSIVE = {
  'backbone': {'published_resnet': {'model_id': 18}},
  'decoder': {'type': 'recursive_fpn', 'recursive_fpn': {'num_filters': 8, 'aspp_filters': 2}},
}


@pytest.mark.parametrize(
  'overrides,is_composite,reads_images',
  [({}, False, False), ({'backbone': tiny.COMPOSITE_SWIN}, True, False), (RECURSIVE, False, True)],
  ids=['HTC', 'composite', 'recursive'],
)
def test_only_the_parts_of_cbnetv2_and_detectors_have_them(overrides, is_composite, reads_images):
  model = tiny.build(tiny.model(1, **overrides))
  assert isinstance(model.backbone, CompositeBackbone) == is_composite
  assert isinstance(model.decoder, ImageReadingDecoder) == reads_images


class Halved(tf_keras.Model):
  """A backbone of another project, whose assisting features are half of its own."""

  def __init__(self, backbone):
    super().__init__()
    self.inner = backbone

  def call(self, images, training=None):
    return self.inner(images, training=training)

  def maps_of_both(self, images, training=None):
    maps = self.inner(images, training=training)
    return {level: value / 2 for level, value in maps.items()}, maps


def test_any_backbone_with_two_sets_of_features_gets_an_assistant():
  config = tiny.model(1, cascade={'sampling_rule': 'even'})
  model = tiny.build(config)
  inputs = model_inputs(*tiny.batch(config))
  alone = model(inputs, training=True)
  assert alone.assistant is None
  model.backbone = Halved(model.backbone)
  both = model(inputs, training=True)
  np.testing.assert_allclose(both.rpn_logits, alone.rpn_logits, atol=1e-6)
  assert np.any(both.assistant.rpn_logits != both.rpn_logits)
  assert tf.reduce_all(tf.math.is_finite(both.assistant.rpn_logits))
