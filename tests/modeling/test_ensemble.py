"""Tests of detection by several models."""

import types

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data import preprocess
from htc_tf.modeling import ensemble, multi_view
from htc_tf.modeling.detection import DetectionGenerator
from htc_tf.modeling.ensemble import Joining, Member
from htc_tf.modeling.multi_view import Fusion, ModelView
from htc_tf.modeling.outputs import Detections, Proposals
from htc_tf.modeling.views import views_of
from htc_tf.ops import boxes as box_ops
from htc_tf.ops.soft_nms import Suppression
from tests import tiny

SIZES = ((48, 40), (64, 64))
FUSION = Fusion(num_proposals=20)
VARIANTS = {
  'one stage': {'num_stages': 1},
  'two stages': {'num_stages': 2},
  'without semantic branch': {'semantic_head': {'enabled': False}},
  'last masks': {'detection_generator': {'mask_ensemble': 'last'}},
}


def _prepared(size=64, seed=0):
  """Two images inside their padding, at a scale of size / 64."""
  images = np.random.default_rng(seed).normal(size=[2, size, size, 3]).astype(np.float32)
  infos = []
  for row, original in enumerate(SIZES):
    height, width = (side * size // 64 for side in original)
    images[row, height:], images[row, :, width:] = 0, 0
    infos.append(preprocess.image_info(original, (height, width)))
  return tf.constant(images), tf.stack(infos)


def _model(seed, **overrides):
  generator = {'score_threshold': 0.0, **overrides.pop('detection_generator', {})}
  return tiny.build(tiny.model(detection_generator=generator, **overrides), seed=seed)


@pytest.fixture(name='first', scope='module')
def _first():
  return _model(3)


def _rows(detections, row):
  count = int(detections.num_detections[row])
  return [None if x is None else x[row, :count].numpy() for x in (*detections[:3], detections[4])]


def test_a_single_member_detects_as_the_model_alone(first):
  images, info = _prepared()
  found = ensemble.detect_members([Member(first)], [(images, info)])
  plain = first.detect({'images': images, 'image_shape': info[:, 1]})
  for value, expected in zip(found, plain):
    np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize('level', ensemble.LEVELS)
@pytest.mark.parametrize('variant', VARIANTS)
def test_the_order_of_models_of_different_configurations_has_no_effect(first, level, variant):
  other = _model(5, **VARIANTS[variant])
  members = [Member(first, fusion=FUSION), Member(other, fusion=FUSION)]
  given = [_prepared(), _prepared(96, seed=0)]
  found = ensemble.detect_members(members, given, Joining(level))
  swapped = ensemble.detect_members(members[::-1], given[::-1], Joining(level))
  assert min(found.num_detections) > 0
  np.testing.assert_array_equal(found.num_detections, swapped.num_detections)
  for row in range(2):
    boxes, scores, classes, masks = _rows(found, row)
    other_boxes, other_scores, other_classes, other_masks = _rows(swapped, row)
    np.testing.assert_allclose(other_scores, scores, rtol=1e-4)
    np.testing.assert_array_equal(other_classes, classes)
    # Each is in pixels of its first input.
    np.testing.assert_allclose(other_boxes, boxes * 1.5, atol=2e-3)
    np.testing.assert_allclose(other_masks, masks, atol=1e-4)


def test_models_average_what_they_say_about_shared_proposals(first):
  """The means are computed here from the parts of the models."""
  other, (images, info) = _model(5, num_stages=2), _prepared()
  views = views_of([(images, info)], mirrors=False)
  seen = [ModelView(model, views[0]) for model in (first, other)]
  found = multi_view.detect_jointly(seen, FUSION)
  features, proposals = [], []
  for model in (first, other):
    of_model = model.extract(views[0].inputs, training=False)[0]
    features.append(of_model)
    proposals.append(model.propose(of_model, training=False).proposals)
  shared = _best_proposals(proposals)
  probs, boxes = [], []
  for model, of_model in zip((first, other), features):
    logits, of_boxes = model.cascade.classify(of_model, shared)
    probs.append(tf.nn.softmax(logits).numpy())
    boxes.append(of_boxes.numpy())
  mean_probs, mean_boxes = np.mean(probs, 0), np.mean(boxes, 0)
  for row in range(2):
    found_boxes, scores, classes, masks = _rows(found, row)
    for box, score, label in zip(found_boxes, scores, classes):
      nearest = np.abs(mean_boxes[row] - box).max(-1).argmin()
      np.testing.assert_allclose(mean_boxes[row, nearest], box, atol=1e-3)
      np.testing.assert_allclose(mean_probs[row, nearest, label], score, rtol=1e-3)
    each = [
      model.cascade.segment(of_model, found.boxes, found.classes)[row, : len(masks)]
      for model, of_model in zip((first, other), features)
    ]
    np.testing.assert_allclose(np.mean(each, 0), masks, atol=1e-4)


def _best_proposals(proposals):
  """The 20 best proposals of both models after NMS at 0.7, by a loop."""
  boxes, scores = (
    np.concatenate([getattr(each, name).numpy() for each in proposals], 1)
    for name in ('boxes', 'scores')
  )
  kept_boxes, kept_scores = np.full([2, 20, 4], -1, np.float32), np.zeros([2, 20], np.float32)
  for row in range(2):
    kept = []
    for index in np.argsort(-scores[row], kind='stable'):
      iou = box_ops.pairwise_iou(boxes[row, [index]], boxes[row, kept].reshape(-1, 4)).numpy()
      if scores[row, index] > 0 and len(kept) < 20 and not np.any(iou > 0.7):
        kept.append(index)
    kept_boxes[row, : len(kept)], kept_scores[row, : len(kept)] = (
      boxes[row, kept],
      scores[row, kept],
    )
  return Proposals(tf.constant(kept_boxes), tf.constant(kept_scores), tf.constant(kept_scores > 0))


@pytest.mark.parametrize('size', [64, 96])
def test_a_model_twice_finds_what_it_finds_once(first, size):
  """Boxes are in pixels of the input, also where this is not the image's own size."""
  given = _prepared(size)
  members = [Member(first), Member(first)]
  found = ensemble.detect_members(members, [given, given], Joining('detections'))
  plain = first.detect({'images': given[0], 'image_shape': given[1][:, 1]})
  for name in ('num_detections', 'classes'):
    np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))
  np.testing.assert_allclose(found.scores, plain.scores, rtol=1e-5)
  np.testing.assert_allclose(found.boxes, plain.boxes, atol=1e-4)
  np.testing.assert_allclose(found.masks, plain.masks, atol=1e-4)


def _found(boxes, scores, classes, values, size=4):
  masks = np.broadcast_to(np.reshape(values, [1, -1, 1, 1]), [1, len(scores), size, size])
  return Detections(
    tf.constant([boxes], tf.float32),
    tf.constant([scores], tf.float32),
    tf.constant([classes]),
    tf.constant([sum(score > 0 for score in scores)]),
    tf.constant(masks, tf.float32),
  )


def test_masks_of_fused_boxes_by_hand():
  """Masks of different sizes; the second one covers the lower half of the fused box."""
  one = _found([[0, 0, 8, 8], [0, 0, 0, 0]], [0.6, 0.0], [1, 0], [1.0, 0])
  two = _found([[0, 0, 8, 8], [20, 20, 30, 30]], [0.2, 0.1], [1, 2], [0.5, 1.0], size=8)
  fused = ensemble.fuse_detections([one, two], 0.5)
  assert fused.num_detections.numpy().tolist() == [2]
  np.testing.assert_allclose(fused.scores, [[0.4, 0.05]], rtol=1e-6)
  inner = fused.masks[0, 0, 1:3, 1:3]
  np.testing.assert_allclose(inner, np.full([2, 2], (0.6 * 1 + 0.2 * 0.5) / 0.8), rtol=1e-5)
  np.testing.assert_allclose(fused.masks[0, 1, 1:3, 1:3], np.ones([2, 2]), rtol=1e-5)
  assert fused.masks.shape == (1, 2, 4, 4)


def test_the_masks_of_boxes_that_move():
  """The fused box reaches from 0 to 9; the mask of the first box ends at 8."""
  one = _found([[0, 0, 8, 8]], [0.5], [1], [1.0])
  two = _found([[0, 0, 10, 8]], [0.5], [1], [1.0])
  fused = ensemble.fuse_detections([one, two], 0.5)
  np.testing.assert_allclose(fused.boxes, [[[0, 0, 9, 8]]], atol=1e-5)
  column = fused.masks[0, 0, :, 1].numpy()
  # The last cell has its center at 7.875: 0.4375 of a cell after the center of the last cell of
  # the first mask, at 7, with cells of 2 pixels; and before the one of the second mask, at 8.75.
  np.testing.assert_allclose(column[-1], (1 - 0.4375 + 1) / 2, rtol=1e-5)
  np.testing.assert_allclose(column[:-1], [0.9725, 1, 1], atol=0.03)


@pytest.mark.parametrize('across_groups, classes', [(False, [2, 1]), (True, [2, 0])])
def test_results_act_across_classes_as_the_nms_of_the_first_model(
  monkeypatch, across_groups, classes
):
  """One object, for which the models have different classes and boxes with an IoU of 0.8."""
  of_model = {
    across_groups: _found([[0, 0, 10, 8], [0, 0, 0, 0]], [0.6, 0.0], [1, 0], [1.0, 0]),
    not across_groups: _found([[0, 0, 8, 8], [0, 0, 0, 0]], [0.8, 0.0], [2, 0], [1.0, 0]),
  }
  monkeypatch.setattr(
    ensemble,
    'detect_views',
    lambda model, *_: of_model[model.detection_generator.suppression.across_groups],
  )
  members = [
    Member(types.SimpleNamespace(detection_generator=DetectionGenerator(suppression=rule)))
    for rule in (
      Suppression('hard', 0.7, across_groups=across_groups),
      Suppression('hard', 0.7, across_groups=not across_groups),
    )
  ]
  given = tuple(each[:1] for each in _prepared())
  found = ensemble.detect_members(members, [given, given], Joining('detections'))
  assert found.classes.numpy().tolist() == [classes]
  np.testing.assert_allclose(found.scores, [[0.4, 0.0 if across_groups else 0.3]], rtol=1e-6)


def test_models_without_masks_detect_together():
  models = [_model(seed, include_mask=False) for seed in (1, 2)]
  given = _prepared()
  for level in ensemble.LEVELS:
    members = [Member(model, fusion=FUSION) for model in models]
    found = ensemble.detect_members(members, [given, given], Joining(level))
    assert found.masks is None and min(found.num_detections) > 0


@pytest.mark.slow
@pytest.mark.parametrize('level', ensemble.LEVELS)
def test_members_have_views_of_their_own(first, level):
  """A member with two scales and mirrored views, beside one with a single view."""
  members = [Member(first, 2, True, FUSION), Member(_model(5), fusion=FUSION)]
  given = [_prepared(), _prepared(96), _prepared()]
  views = ensemble._views(members, given)
  assert [len(of_member) for of_member in views] == [4, 1]
  assert views[0][2].images.shape[1] == 96 and views[0][3].is_mirrored
  run = tf.function(
    lambda given: ensemble.detect_members(members, given, Joining(level)), autograph=False
  )
  assert min(run(given).num_detections) > 0
