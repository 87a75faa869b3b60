"""Tests of the cascade on Model Garden's backbones, decoders and RoI layers."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.core import exp_factory

from htc_tf import registry_imports  # noqa: F401
from htc_tf.configs import model_validation
from htc_tf.configs import task as task_config
from htc_tf.losses import htc_loss
from htc_tf.tasks.htc import model_inputs
from tests import tiny

FPN = {'decoder': {'type': 'fpn', 'fpn': {'num_filters': tiny.CHANNELS}}}
SPINENET_CHANNELS = 128
PARTS = {
  'resnet': {
    **FPN,
    'backbone': {'type': 'resnet', 'resnet': {'model_id': 10, 'depth_multiplier': 0.25}},
  },
  'mobilenet': {
    **FPN,
    'backbone': {
      'type': 'mobilenet',
      'mobilenet': {'model_id': 'MobileNetV2', 'filter_size_scale': 0.35},
    },
  },
  'efficientnet': {**FPN, 'backbone': {'type': 'efficientnet', 'efficientnet': {'model_id': 'b0'}}},
  'spinenet': {
    'backbone': {'type': 'spinenet', 'spinenet': {'model_id': '49S'}},
    'decoder': {'type': 'identity'},
    'min_level': 3,
    'max_level': 7,
    'input_size': [128, 128, 3],
    'roi_aligner': {'published': {'min_level': 3, 'max_level': 5}},
    'mask_head': {'num_filters': SPINENET_CHANNELS},
    'semantic_head': {'num_filters': SPINENET_CHANNELS},
  },
}


@pytest.mark.parametrize('name', PARTS)
def test_a_model_on_each_backbone_detects(name):
  config = tiny.model(2, **PARTS[name])
  model = tiny.build(config)
  images, labels = tiny.batch(config, size=config.input_size[0], num_images=1)
  outputs = model({'images': images, 'image_shape': labels['image_info'][:, 1]}, training=False)
  found = int(outputs.num_detections[0])
  assert found > 0
  assert np.all(outputs.scores[0, :found] > 0)
  boxes = outputs.boxes[0, :found].numpy()
  assert np.all(boxes[:, 2:] > boxes[:, :2])
  assert np.all(boxes[:, 2:] <= labels['image_info'][0, 1])


def test_a_backbone_reads_images_of_other_channels():
  pixels = {'mean': [0.0] * 4, 'stddev': [1.0] * 4}
  config = tiny.model(2, **PARTS['resnet'], input_size=[64, 64, 4], pixels=pixels)
  model = tiny.build(config)
  images = tf.random.stateless_normal([1, 64, 64, 4], [0, 1])
  changed = images + tf.constant([0.0, 0.0, 0.0, 1.0])
  features = [model.backbone(x, training=False)['2'] for x in (images, changed)]
  assert np.abs(features[0] - features[1]).max() > 1e-3


def reduced_resnetfpn():
  """Reduced configuration of the experiment that uses only Model Garden's parts."""
  config = exp_factory.get_exp_config('htc_resnetfpn_coco').task.model
  config.override({**tiny.PUBLISHED_PARTS, **tiny.MODEL_GARDEN_PARTS})
  model_validation.validate_model(config)
  return config


@pytest.fixture(params=['float32', 'mixed_bfloat16'])
def policy(request):
  tf_keras.mixed_precision.set_global_policy(request.param)
  yield request.param
  tf_keras.mixed_precision.set_global_policy('float32')


def test_the_experiment_on_model_garden_parts_trains_and_detects(policy):
  config = reduced_resnetfpn()
  model = tiny.build(config)
  images, labels = tiny.batch(config)
  with tf.GradientTape() as tape:
    outputs = model(model_inputs(images, labels), training=True)
    terms = htc_loss.weighted_terms(
      outputs, labels['gt_semantic'], task_config.Losses(), config.cascade.stages
    )
    loss = htc_loss.total(terms)
  assert all(np.isfinite(term) and term > 0 for term in terms.values()), terms
  gradients = tape.gradient(loss, model.trainable_variables)
  assert all(gradient is not None for gradient in gradients)
  detections = model({'images': images, 'image_shape': labels['image_info'][:, 1]}, training=False)
  assert min(detections.num_detections) > 0
  assert detections.boxes.dtype == tf.float32
  compute = tf.bfloat16 if policy == 'mixed_bfloat16' else tf.float32
  assert model.backbone(images)['2'].dtype == compute
