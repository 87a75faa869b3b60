"""Tests of box heads with deltas for each class, from the head to detections."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.modeling import ensemble, factory
from htc_tf.modeling.cascade import Cascade
from htc_tf.modeling.cascade_stage import CascadeStage
from htc_tf.modeling.detection import DetectionGenerator
from htc_tf.modeling.ensemble import Joining, Member
from htc_tf.modeling.heads.box_head import BoxHead
from htc_tf.modeling.layers.stage_assigner import StageAssigner
from htc_tf.modeling.multi_view import Fusion
from htc_tf.modeling.outputs import GroundTruth, ImageFeatures, Proposals
from htc_tf.ops import nms, placement
from tests import tiny

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
FEATURES = ImageFeatures({}, None, tf.constant([[64.0, 64.0]]))
ROIS = [[10.0, 10.0, 20.0, 20.0], [40.0, 40.0, 60.0, 60.0]]


class RoIBoxes(tf_keras.layers.Layer):
  """RoI features that are the RoI itself: [batch, num_rois, 1, 1, 4]."""

  def call(self, features, rois):
    del features
    return rois[:, :, tf.newaxis, tf.newaxis, :]


class ShiftByClass(tf_keras.layers.Layer):
  """Box head of two classes: class 1 moves a RoI down by its height, class 2 to the right."""

  def __init__(self, logits):
    super().__init__()
    self._logits = tf.constant([[logits]])

  def call(self, roi_features, training=None, valid=None):
    del training, valid
    deltas = tf.constant([[10.0, 0, 0, 0], [0, 10.0, 0, 0]])
    num = tf.shape(roi_features)[1]
    return tf.tile(self._logits, [1, num, 1]), tf.tile(
      deltas[tf.newaxis, tf.newaxis], [1, num, 1, 1]
    )


def _stage(logits):
  return CascadeStage(ShiftByClass(logits), StageAssigner(0.5, 4, 0.5, rule='even'), WEIGHTS)


def _proposals(boxes=ROIS, valid=(True, True)):
  boxes, valid = tf.constant([boxes]), tf.constant([list(valid)])
  return Proposals(tf.where(valid[..., None], boxes, -1.0), tf.ones(valid.shape), valid)


def test_the_head_has_deltas_for_every_class_but_the_background():
  head = BoxHead(num_classes=4, num_fcs=1, fc_dims=5, class_agnostic=False)
  logits, deltas = head(tf.ones([2, 3, 2, 2, 4]))
  assert logits.shape == [2, 3, 4] and deltas.shape == [2, 3, 3, 4]
  # Neighboring outputs of the layer belong to one class, as in published weights.
  layer = head._class_deltas
  layer.bias.assign(np.arange(12.0))
  layer.kernel.assign(np.zeros(layer.kernel.shape))
  np.testing.assert_array_equal(
    head(tf.ones([1, 1, 2, 2, 4]))[1][0, 0], [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
  )
  assert head(tf.zeros([2, 0, 2, 2, 4]))[1].shape == [2, 0, 3, 4]


def test_the_last_stage_gives_a_box_for_each_class():
  cascade = Cascade([_stage([0.0, 3.0, 1.0])], RoIBoxes())
  _, boxes = cascade.classify(FEATURES, _proposals(valid=(True, False)))
  np.testing.assert_allclose(boxes[0, 0], [[20, 10, 30, 20], [10, 20, 20, 30]], atol=1e-4)
  np.testing.assert_array_equal(boxes[0, 1], np.full([2, 4], -1.0))


def test_boxes_by_class_are_clipped_to_the_image():
  cascade = Cascade([_stage([0.0, 3.0, 1.0])], RoIBoxes())
  _, boxes = cascade.classify(FEATURES, _proposals())
  np.testing.assert_allclose(boxes[0, 1], [[60, 40, 64, 60], [40, 60, 60, 64]], atol=1e-4)


def test_a_stage_before_the_last_moves_a_roi_by_the_deltas_of_its_likeliest_class():
  first = _stage([9.0, 3.0, 1.0])  # The background does not count.
  last = _stage([0.0, 3.0, 1.0])
  _, boxes = Cascade([first, last], RoIBoxes()).classify(FEATURES, _proposals())
  np.testing.assert_allclose(boxes[0, 0], [[30, 10, 40, 20], [20, 20, 30, 30]], atol=1e-4)


def test_training_takes_the_deltas_of_the_class_of_the_object():
  """The first RoI is an object of class 2, though class 1 is likelier; the other is background."""
  logits = [0.0, 3.0, 1.0]
  truth = GroundTruth(tf.constant([[ROIS[0]]]), tf.constant([[2]]), None)
  output = Cascade([_stage(logits)], RoIBoxes()).train(FEATURES, _proposals(), truth)[0]
  positive = output.rois.positive[0].numpy()
  assert positive.any() and not positive.all()
  expected = np.where(positive[:, None], [[0.0, 10, 0, 0]], [[10.0, 0, 0, 0]])
  np.testing.assert_array_equal(output.deltas[0], expected)


def test_suppression_compares_the_boxes_of_a_class():
  """The RoIs overlap in class 1 only."""
  boxes = tf.constant([[[[0.0, 0, 10, 10], [0, 0, 10, 10]], [[0, 0, 10, 9], [30, 30, 40, 40]]]])
  probs = tf.constant([[[0.0, 0.9, 0.8], [0.0, 0.7, 0.6]]])
  for nms_kind in ('hard', 'linear'):
    config = tiny.model(
      detection_generator={
        'nms': nms_kind,
        'score_threshold': 0.2,
        'soft_nms_min_score': 0.2,
        'max_detections': 6,
      }
    ).detection_generator
    found = factory.build_detection_generator(config).select(probs, boxes, tf.ones([1, 2], tf.bool))
    count = int(found.num_detections[0])
    assert found.classes[0, :count].numpy().tolist() == [1, 2, 2]
    np.testing.assert_array_equal(found.boxes[0, 2], [30, 30, 40, 40])


def test_without_the_kernel_of_the_cpu_boxes_by_class_are_selected_alike(monkeypatch):
  rng = np.random.default_rng(0)
  corners = rng.uniform(0, 40, [2, 30, 20, 2]).astype(np.float32)
  boxes = np.concatenate([corners, corners + rng.uniform(5, 20, corners.shape)], -1)
  scores = rng.uniform(size=[2, 30, 20]).astype(np.float32)
  arguments = (tf.constant(boxes, tf.float32), tf.constant(scores), 0.4, 0.3, 25)
  expected = nms.grouped_nms(*arguments)
  monkeypatch.setattr(placement, 'on_gpu', lambda: True)
  for value, other in zip(nms.grouped_nms(*arguments), expected):
    np.testing.assert_allclose(value, other, rtol=1e-6)


@pytest.mark.parametrize('num_stages', [1, 2])
def test_a_model_with_deltas_by_class_detects_and_mirrors(num_stages):
  model = _model(num_stages)
  images = tf.constant(np.random.default_rng(0).normal(size=[1, 64, 64, 3]), tf.float32)
  inputs = {'images': images, 'image_shape': tf.constant([[64.0, 64.0]])}
  found = model.detect(inputs)
  count = int(found.num_detections[0])
  assert count > 0 and found.masks is not None
  boxes = found.boxes[0, :count].numpy()
  assert (boxes >= 0).all() and (boxes <= 64).all()
  # Two equal views give what one gives.
  info = tf.constant([[[64.0, 64], [64, 64], [1, 1], [0, 0]]])
  member = Member(model, num_scales=2, fusion=Fusion(num_proposals=1000))
  twice = ensemble.detect_members([member], [(images, info)] * 2)
  np.testing.assert_allclose(twice.scores[0, :count], found.scores[0, :count], atol=1e-4)
  np.testing.assert_allclose(twice.boxes[0, :count], boxes, atol=1e-2)


@pytest.mark.parametrize('ranges', [(), ((0.0, 1e5), (0.0, 1e5))])
def test_models_of_both_kinds_detect_together(ranges):
  members = [
    Member(model, fusion=Fusion(num_proposals=20, area_ranges=ranges[:1]))
    for model in (_model(1), _model(1, class_agnostic=True))
  ]
  images = tf.constant(np.random.default_rng(0).normal(size=[1, 64, 64, 3]), tf.float32)
  prepared = [(images, tf.constant([[[64.0, 64], [64, 64], [1, 1], [0, 0]]]))] * 2
  found = ensemble.detect_members(members, prepared, Joining('rois'))
  swapped = ensemble.detect_members(members[::-1], prepared, Joining('rois'))
  assert int(found.num_detections[0]) > 0
  np.testing.assert_allclose(found.scores, swapped.scores, atol=1e-5)


def test_the_generator_takes_boxes_without_an_axis_of_classes():
  boxes = tf.constant([ROIS])
  probs = tf.constant([[[0.0, 0.9, 0.1], [0.0, 0.2, 0.8]]])
  generator, valid = DetectionGenerator(0.0), tf.ones([1, 2], tf.bool)
  by_class = tf.repeat(boxes[:, :, tf.newaxis], 2, axis=2)
  for value, other in zip(
    generator.select(probs, boxes, valid)[:4], generator.select(probs, by_class, valid)[:4]
  ):
    np.testing.assert_array_equal(value, other)


def _model(num_stages, class_agnostic=False):
  config = tiny.model(
    num_stages=num_stages,
    box_head={'class_agnostic': class_agnostic},
    detection_generator={'score_threshold': 0.0},
  )
  return tiny.build(config, seed=3)
