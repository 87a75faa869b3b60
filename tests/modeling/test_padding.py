"""Tests that the padding around an image does not change its detections.

The outputs of convolutions depend on the distance to the border of the padded image, so the parts
of this model have no convolutions, only pooling and matrix products.
"""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.modeling import factory
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.layers.anchor_assigner import AnchorAssigner
from htc_tf.modeling.region_proposal_network import RegionProposalNetwork
from htc_tf.ops import anchors
from tests import tiny

HEIGHT, WIDTH = 40, 48
rng = np.random.default_rng(4)
MIX = rng.normal(size=[3, tiny.CHANNELS]).astype(np.float32)
TO_DELTAS = (0.1 * rng.normal(size=[tiny.CHANNELS, 12])).astype(np.float32)
TO_LOGITS = rng.normal(size=[tiny.CHANNELS, 3]).astype(np.float32)


class PooledPyramid(tf_keras.layers.Layer):
  """Levels 2 to 6 by average pooling; padding with zeros stays zero."""

  def call(self, images):
    return {
      str(level): tf.nn.avg_pool2d(images, 2**level, 2**level, 'VALID') @ MIX
      for level in range(2, 7)
    }


class PointwiseRPN(tf_keras.layers.Layer):
  """Logits and deltas that each depend on one pixel; the logits of a pixel of zeros are low."""

  def call(self, features):
    logits = {level: tf.abs(x @ TO_LOGITS) - 5.0 for level, x in features.items()}
    return logits, {level: x @ TO_DELTAS for level, x in features.items()}


@pytest.fixture(scope='module')
def model():
  config = tiny.model(2, semantic_head={'enabled': False})
  config.roi_generator.published.test_num_proposals = 10
  tf_keras.utils.set_random_seed(0)
  return HTCModel(
    backbone=PooledPyramid(),
    decoder=None,
    rpn=RegionProposalNetwork(
      PointwiseRPN(),
      anchors.generate_anchors,
      factory.build_roi_generator(config.roi_generator),
      AnchorAssigner(),
    ),
    cascade=factory.build_cascade(config),
    detection_generator=factory.build_detection_generator(config.detection_generator),
  )


def padded_inputs(height, width):
  """Model inputs with the same image, padded to a height and width."""
  image = np.random.default_rng(5).normal(size=[HEIGHT, WIDTH, 3])
  images = np.zeros([1, height, width, 3], np.float32)
  images[0, :HEIGHT, :WIDTH] = image
  return {'images': tf.constant(images), 'image_shape': tf.constant([[HEIGHT, WIDTH]], tf.float32)}


@pytest.mark.parametrize('padded_size', [(64, 128), (128, 64), (192, 192)])
def test_a_larger_padded_size_gives_the_same_detections(model, padded_size):
  expected = model(padded_inputs(64, 64))
  actual = model(padded_inputs(*padded_size))
  assert expected.num_detections[0] > 3
  for key, value in expected.to_dict().items():
    np.testing.assert_allclose(actual.to_dict()[key], value, rtol=1e-4, atol=1e-4, err_msg=key)


def test_the_size_inside_the_padding_changes_the_detections(model):
  inputs = padded_inputs(64, 64)
  without_padding = {**inputs, 'image_shape': tf.constant([[64.0, 64.0]])}
  assert not np.allclose(model(without_padding).boxes, model(inputs).boxes)
