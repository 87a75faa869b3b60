"""Tests of the selection of detections against stored reference arrays."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.configs import model as model_config
from htc_tf.modeling import detection, factory
from parity.pack import EXTRACT


@pytest.fixture(scope='module', name='reference')
def _reference():
  path = EXTRACT / 'ops.npz'
  with np.load(path) as arrays:
    reference = {key[15:]: arrays[key] for key in arrays.files if key.startswith('multiclass_nms/')}
  reference['probs'] = np.roll(reference['probs'], 1, axis=-1)  # background first
  for key in ('boxes', 'detections'):
    reference[key][:, :4] = reference[key][:, [1, 0, 3, 2]]
  return reference


def _valid(boxes):
  return tf.ones(boxes.shape[:2], tf.bool)


def test_detections_equal_the_reference(reference):
  """A probability exactly at the threshold gives no detection, the next larger one does."""
  boxes = reference['boxes'][None]
  found = detection.DetectionGenerator().select(reference['probs'][None], boxes, _valid(boxes))
  np.testing.assert_array_equal(found.boxes[0], reference['detections'][:, :4])
  np.testing.assert_array_equal(found.scores[0], reference['detections'][:, 4])
  np.testing.assert_array_equal(found.classes[0], reference['labels'] + 1)
  np.testing.assert_array_equal(found.num_detections, [100])


@pytest.mark.parametrize('dtype', ['float32', 'mixed_bfloat16'])
def test_the_softmax_of_the_logits_is_computed_in_float32(reference, dtype):
  """Under mixed precision, neither logits nor boxes may be rounded when the layer is called."""
  boxes, logits = tf.constant(reference['boxes'][None]), np.log(reference['probs'])[None] + 3.0
  generator = detection.DetectionGenerator(dtype=dtype)
  found = tf.function(generator, autograph=False)(tf.constant(logits), boxes, _valid(boxes))
  expected = generator.select(tf.nn.softmax(logits), boxes, _valid(boxes))
  np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6)
  np.testing.assert_array_equal(found.boxes, expected.boxes)


def test_16_bit_logits_give_float32_detections(reference):
  boxes, logits = reference['boxes'][None], np.log(reference['probs'])[None]
  found = detection.DetectionGenerator()(tf.cast(logits, tf.bfloat16), boxes, _valid(boxes))
  assert found.scores.dtype == found.boxes.dtype == tf.float32


def test_invalid_rois_are_not_detected_and_nms_is_per_class():
  """The second RoI is invalid; the third overlaps the first and is suppressed in its class."""
  boxes = tf.constant([[[0.0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 10, 9], [-1, -1, -1, -1]]])
  probs = tf.constant([[[0.1, 0.9, 0.0], [0.1, 0.0, 0.9], [0.1, 0.5, 0.4], [0.1, 0.9, 0.0]]])
  found = detection.DetectionGenerator(max_detections=5).select(
    probs, boxes, tf.constant([[True, False, True, False]])
  )
  np.testing.assert_array_equal(found.num_detections, [2])
  np.testing.assert_array_equal(found.classes, [[1, 2, 0, 0, 0]])
  np.testing.assert_allclose(found.scores, [[0.9, 0.4, 0, 0, 0]])
  np.testing.assert_array_equal(found.boxes[0], [[0, 0, 10, 10], [0, 0, 10, 9]] + [[0] * 4] * 3)


def test_without_rois_there_are_no_detections():
  found = detection.DetectionGenerator(max_detections=3)(
    tf.zeros([2, 0, 4]), tf.zeros([2, 0, 4]), tf.zeros([2, 0], tf.bool)
  )
  np.testing.assert_array_equal(found.num_detections, [0, 0])
  assert found.boxes.shape == (2, 3, 4) and not np.any(found.scores)


_OVERLAPPING = tf.constant([[[0.0, 0, 10, 10], [0, 0, 5, 10], [50, 50, 60, 60]]])
_PROBS = tf.constant([[[0.05, 0.9, 0.05], [0.1, 0.3, 0.6], [0.2, 0.5, 0.3]]])


def _found(**options):
  """Classes and scores of three RoIs; the first two have the IoU 0.5."""
  config = model_config.DetectionGenerator(**{'max_detections': 6, **options})
  found = factory.build_detection_generator(config).select(
    _PROBS, _OVERLAPPING, _valid(_OVERLAPPING)
  )
  count = int(found.num_detections[0])
  return found.classes[0, :count].numpy().tolist(), found.scores[0, :count].numpy()


def test_soft_suppression_lowers_scores_within_a_class():
  options = {'score_threshold': 0.2, 'nms_threshold': 0.5}
  classes, scores = _found(nms='linear', **options)
  assert classes == [1, 2, 1, 2, 1]
  # The second RoI overlaps the first one of class 1 by half.
  np.testing.assert_allclose(scores, [0.9, 0.6, 0.5, 0.3, 0.15], rtol=1e-6)
  classes, scores = _found(nms='linear', soft_nms_min_score=0.2, **options)
  np.testing.assert_allclose(scores, [0.9, 0.6, 0.5, 0.3], rtol=1e-6)
  classes, scores = _found(nms='gaussian', soft_nms_sigma=0.25, **options)
  np.testing.assert_allclose(scores, [0.9, 0.6, 0.5, 0.3, 0.3 * np.exp(-1)], rtol=1e-6)


def test_suppression_across_classes():
  # Below a half, the second RoI goes in every class; a RoI is one detection.
  classes, scores = _found(class_agnostic_nms=True, nms_threshold=0.4)
  assert classes == [1, 1]
  np.testing.assert_allclose(scores, [0.9, 0.5], rtol=1e-6)


def test_every_class_may_have_a_limit_of_its_own():
  classes, scores = _found(class_score_thresholds=[0.6, 0.25], nms_threshold=0.5)
  assert classes == [1, 2, 2]
  np.testing.assert_allclose(scores, [0.9, 0.6, 0.3], rtol=1e-6)


def test_a_thousand_detections_can_be_asked_for():
  corners = np.arange(600, dtype=np.float32)[:, None] * [20, 0]
  boxes = tf.constant(np.concatenate([corners, corners + 10], -1)[None], tf.float32)
  probs = tf.tile([[[0.2, 0.5, 0.3]]], [1, 600, 1])
  for nms in ('hard', 'linear'):
    config = model_config.DetectionGenerator(max_detections=1000, nms=nms)
    found = factory.build_detection_generator(config).select(probs, boxes, _valid(boxes))
    assert int(found.num_detections[0]) == 1000
    assert np.count_nonzero(found.classes[0] == 1) == 600
