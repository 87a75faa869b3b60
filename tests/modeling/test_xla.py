"""Tests of the model compiled by XLA against the same model without compilation."""

import numpy as np
import pytest
import tensorflow as tf

from tests import tiny


def detections(model, inputs, jit_compile):
  detect = tf.function(model.detect, autograph=False, jit_compile=jit_compile)
  return {key: value.numpy() for key, value in detect(inputs).to_dict().items()}


@pytest.mark.parametrize(
  'overrides',
  [
    {'num_stages': 2},
    pytest.param({'num_stages': 1, 'semantic_head': {'enabled': False}}, marks=pytest.mark.slow),
    pytest.param({'num_stages': 3}, marks=pytest.mark.slow),
    pytest.param({'num_stages': 1, **tiny.HRNET}, marks=pytest.mark.slow),
  ],
  ids=str,
)
def test_compiled_detections_are_the_same(overrides):
  config = tiny.model(**overrides)
  model = tiny.build(config)
  images, labels = tiny.batch(config)
  inputs = {'images': images, 'image_shape': labels['image_info'][:, 1]}
  expected, actual = (detections(model, inputs, jit_compile) for jit_compile in (False, True))
  assert expected['num_detections'].min() > 0
  for key in ('num_detections', 'detection_classes'):
    np.testing.assert_array_equal(actual[key], expected[key])
  for key, tolerance in (
    ('detection_boxes', 1e-3),
    ('detection_scores', 1e-5),
    ('detection_masks', 1e-4),
  ):
    np.testing.assert_allclose(actual[key], expected[key], atol=tolerance, err_msg=key)


@pytest.mark.slow
@pytest.mark.parametrize(
  'overrides',
  [
    {'num_stages': 2},
    {'num_stages': 1, 'include_mask': False},
    {'num_stages': 1, 'include_mask': False, **tiny.HRNET},
  ],
  ids=str,
)
def test_compiled_losses_and_gradients_are_the_same(overrides):
  config = tiny.model(cascade={'sampling_rule': 'even'}, **overrides)
  model, task = tiny.build(config), tiny.task(config)
  images, labels = tiny.batch(config)

  (expected, gradients), (actual, compiled) = tiny.plain_and_compiled_step(
    task, model, images, labels
  )
  for name, loss in expected.items():
    np.testing.assert_allclose(actual[name], loss, rtol=1e-4, atol=1e-7, err_msg=name)
  for gradient, other in zip(gradients, compiled):
    difference, size = tf.norm(gradient - other), tf.norm(gradient)
    assert difference <= 1e-4 * size + 1e-7
