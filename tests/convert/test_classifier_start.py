"""Tests of detectors that start from an ImageNet classifier."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.convert import conversion
from htc_tf.convert.checkpoint_file import Checkpoint
from htc_tf.convert.torchvision_names import TORCHVISION
from htc_tf.convert.variables import named_variables
from htc_tf.errors import CheckpointError
from htc_tf.modeling.backbones import published_resnet
from tests import tiny

RESNET = {'published_resnet': {'model_id': 50}}
DETECTORS = {
  'backbone': {
    'published_resnet': {'model_id': 50, 'standardized': True, 'switchable_stages': [4]}
  },
  'decoder': {
    'type': 'recursive_fpn',
    'recursive_fpn': {'num_filters': tiny.CHANNELS, 'aspp_filters': 2},
  },
}


@pytest.fixture(autouse=True)
def _small_resnet(monkeypatch):
  monkeypatch.setitem(published_resnet.SPECS, 50, (True, (1, 1, 1, 1)))


def classifier(**changes):
  """(a model, and the file of a classifier with the values of its backbone)."""
  model = tiny.build(tiny.model(backbone=RESNET), seed=1)
  tensors = {**conversion.published_weights(model, TORCHVISION), **changes}
  present = {name: value for name, value in tensors.items() if value is not None}
  return model, Checkpoint(present, 'torch', 'resnet50.pth', '')


def fresh(overrides):
  """A new model, without the changes that `tiny.build` makes."""
  return tiny.factory.build_htc(tiny.model(**overrides))


def test_both_backbones_of_detectors_compute_what_the_classifier_does():
  source, checkpoint = classifier()
  model = fresh(DETECTORS)
  result = conversion.convert_checkpoint(checkpoint, model)
  images = tf.random.stateless_normal([1, 64, 64, 3], [1, 2])
  expected = source.backbone(images)
  none = {level: tf.zeros([1, 1, 1, 8]) for level in '345'}
  for outputs in (model.backbone(images), model.decoder._feedback_backbone(images, none)):
    for level, value in expected.items():
      tolerance = 1e-3 * np.abs(value).max()
      np.testing.assert_allclose(outputs[level], value, rtol=0, atol=tolerance, err_msg=level)
  # What is left as initialized does not change this; everything else has a value of the file.
  assert {path.split('/')[-2] for path in result.missing if 'weight_diff' not in path} == {
    'switch',
    'pre_context',
    'post_context',
    'offset_s',
    'offset_l',
  }
  second = {path for path in result.filled if path.startswith('decoder/')}
  assert len(second) == sum(path.startswith('backbone/') for path in named_variables(model))


def test_deformable_convolutions_start_without_offsets():
  source, checkpoint = classifier()
  backbone = {'published_resnet': {'model_id': 50, 'deformable_stages': [4]}}
  model = fresh({'backbone': backbone})
  result = conversion.convert_checkpoint(checkpoint, model)
  assert {path.split('/')[-2] for path in result.missing} == {'conv_offset'}
  images = tf.random.stateless_normal([1, 64, 64, 3], [1, 2])
  value = source.backbone(images)['5']
  tolerance = 1e-5 * np.abs(value).max()
  np.testing.assert_allclose(model.backbone(images)['5'], value, rtol=0, atol=tolerance)


def test_other_variables_need_an_entry():
  _, checkpoint = classifier(**{'layer2.0.conv2.weight': None})
  with pytest.raises(CheckpointError, match=r'1 variables without an entry: \S+/conv2/kernel\.'):
    conversion.convert_checkpoint(checkpoint, fresh(DETECTORS))
