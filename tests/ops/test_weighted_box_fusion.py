"""Tests of weighted box fusion against the rule of the paper, written as loops."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops import weighted_box_fusion

THRESHOLD = 0.55


def _iou(box, other):
  top, left = np.maximum(box[:2], other[:2])
  bottom, right = np.minimum(box[2:], other[2:])
  inter = max(bottom - top, 0) * max(right - left, 0)
  areas = [(each[2] - each[0]) * (each[3] - each[1]) for each in (box, other)]
  return inter / (sum(areas) - inter)


def _oracle(boxes, scores, classes, num_sources, across_classes=None):
  """Clusters of one image: mean box, score, class and members, best score first."""
  clusters = []
  for row in sorted(np.flatnonzero(classes), key=lambda row: -scores[row]):
    best, best_iou = None, THRESHOLD
    for cluster in clusters:
      if cluster['class'] == classes[row] and _iou(cluster['box'], boxes[row]) > best_iou:
        best, best_iou = cluster, _iou(cluster['box'], boxes[row])
    if best is None:
      best = {'class': classes[row], 'rows': []}
      clusters.append(best)
    best['rows'].append(row)
    weights = scores[best['rows']]
    best['box'] = (weights[:, None] * boxes[best['rows']]).sum(0) / weights.sum()
  for cluster in clusters:
    share = min(len(cluster['rows']), num_sources) / num_sources
    cluster['score'] = scores[cluster['rows']].mean() * share
  kept = []
  for cluster in sorted(clusters, key=lambda cluster: -cluster['score']):
    others = [better for better in kept if better['class'] != cluster['class']]
    if across_classes is None or all(
      _iou(better['box'], cluster['box']) <= across_classes for better in others
    ):
      kept.append(cluster)
  return kept


def _random(seed, batch=3, num_sources=3, per_source=20):
  """Jittered copies of a few objects, as several models would find them."""
  rng = np.random.default_rng(seed)
  num = num_sources * per_source
  objects = rng.uniform(0, 80, (batch, 7, 2))
  which = rng.integers(0, 7, (batch, num))
  corner = np.take_along_axis(objects, which[..., None], 1) + rng.normal(0, 2, (batch, num, 2))
  boxes = np.concatenate([corner, corner + rng.uniform(15, 25, (batch, num, 2))], -1)
  classes = rng.integers(0, 3, (batch, num))
  return boxes.astype(np.float32), rng.uniform(0.01, 1, (batch, num)).astype(np.float32), classes


@pytest.mark.parametrize('across_classes', [None, 0.5, 0.2])
@pytest.mark.parametrize('jit', [False, True])
@pytest.mark.parametrize('seed', range(3))
def test_fusion_is_that_of_the_paper(seed, jit, across_classes):
  boxes, scores, classes = _random(seed)
  fuse = tf.function(weighted_box_fusion.fuse, jit_compile=jit, autograph=False)
  found = fuse(boxes, scores, tf.constant(classes, tf.int32), 3, THRESHOLD, 30, across_classes)
  for row in range(len(boxes)):
    given = (x[row].astype(float) for x in (boxes, scores, classes))
    expected = _oracle(*given, 3, across_classes)
    count = int(found.num_valid[row])
    assert count == min(len(expected), 30)
    np.testing.assert_allclose(
      found.scores[row, :count], [cluster['score'] for cluster in expected[:count]], rtol=1e-5
    )
    np.testing.assert_allclose(
      found.boxes[row, :count], [cluster['box'] for cluster in expected[:count]], rtol=1e-5
    )
    assert found.classes[row, :count].numpy().tolist() == [
      cluster['class'] for cluster in expected[:count]
    ]
    places = np.full(boxes.shape[1], -1)
    for place, cluster in enumerate(expected[:count]):
      places[cluster['rows']] = place
    np.testing.assert_array_equal(found.places[row], places)
    assert not np.any(found.boxes[row, count:]) and not np.any(found.scores[row, count:])
    assert not np.any(found.classes[row, count:])


def test_a_case_by_hand():
  """Two models agree on one object; the other object is seen by one of them."""
  boxes = [[[0, 0, 10, 10.0], [50, 50, 60, 60], [0, 0, 10, 12], [0, 0, 0, 0]]]
  found = weighted_box_fusion.fuse(
    tf.constant(boxes), tf.constant([[0.9, 0.8, 0.3, 0.0]]), tf.constant([[1, 2, 1, 0]]), 2, 0.5, 5
  )
  np.testing.assert_allclose(found.boxes[0, 0], [0, 0, 10, 10.5], rtol=1e-6)
  np.testing.assert_allclose(found.scores[0, :2], [0.6, 0.4], rtol=1e-6)
  assert found.classes[0].numpy().tolist() == [1, 2, 0, 0, 0]
  assert found.places[0].numpy().tolist() == [0, 1, 0, -1]


def test_across_classes_the_higher_fused_score_wins_by_hand():
  """Both models agree on class 2; the best single score, of class 1, is that of one model."""
  boxes = tf.constant([[[0, 0, 10, 10.0], [0, 0, 10, 9], [0, 0, 10, 9], [50, 0, 60, 9]]])
  scores, classes = tf.constant([[0.9, 0.7, 0.7, 0.1]]), tf.constant([[1, 2, 2, 1]])
  apart = weighted_box_fusion.fuse(boxes, scores, classes, 2, 0.5, 4)
  assert apart.classes[0].numpy().tolist() == [2, 1, 1, 0]
  found = weighted_box_fusion.fuse(boxes, scores, classes, 2, 0.5, 4, across_classes=0.5)
  assert found.classes[0].numpy().tolist() == [2, 1, 0, 0] and found.num_valid[0] == 2
  np.testing.assert_allclose(found.scores[0], [0.7, 0.05, 0, 0], rtol=1e-6)
  assert found.places[0].numpy().tolist() == [-1, 0, 0, 1]


def test_more_boxes_of_one_source_do_not_raise_the_score():
  boxes = tf.constant([[[0, 0, 10, 10.0]] * 3])
  found = weighted_box_fusion.fuse(
    boxes, tf.constant([[0.8, 0.7, 0.6]]), tf.constant([[1, 1, 1]]), 2, 0.5, 3
  )
  np.testing.assert_allclose(found.scores[0, 0], 0.7, rtol=1e-6)


def test_no_detection_gives_no_box():
  found = weighted_box_fusion.fuse(
    tf.zeros([2, 6, 4]), tf.zeros([2, 6]), tf.zeros([2, 6], tf.int32), 2, 0.5, 4
  )
  assert not np.any(found.num_valid) and np.all(found.places == -1)
