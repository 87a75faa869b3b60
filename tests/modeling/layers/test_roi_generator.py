"""Tests of the proposal generator against NumPy and by hand-computed cases."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.layers import roi_generator
from htc_tf.ops import anchors as anchor_ops

_SHAPES = {'3': (10, 12), '4': (5, 6), '5': (3, 3)}
_IMAGE_SHAPE = np.array([[80, 90], [60, 96]], np.float32)


def _maps(seed=0, shapes=_SHAPES):
  rng = np.random.default_rng(seed)
  deltas, logits = {}, {}
  for level, shape in shapes.items():
    deltas[level] = tf.constant(rng.normal(size=[2, *shape, 12], scale=0.3), tf.float32)
    logits[level] = tf.constant(rng.normal(size=[2, *shape, 3]), tf.float32)
  return deltas, logits, anchor_ops.generate_anchors(shapes, scale=4.0)


def _suppress(boxes, threshold):
  """Rows of `boxes`, sorted best first, that no better box suppresses."""
  kept = []
  for row, box in enumerate(boxes):
    sizes = np.minimum(boxes[kept, 2:], box[2:]) - np.maximum(boxes[kept, :2], box[:2])
    intersections = np.prod(np.maximum(sizes, 0), axis=-1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1)
    if np.all(intersections / (areas[kept] + areas[row] - intersections) <= threshold):
      kept.append(row)
  return kept


def _level_proposals(deltas, logits, anchors, image_shape, top_k):
  scores = 1 / (1 + np.exp(-logits.ravel().astype(np.float64)))
  order = np.argsort(-scores)[:top_k]
  deltas, anchors = deltas.reshape(-1, 4)[order], anchors[order]
  sizes = anchors[:, 2:] - anchors[:, :2]
  centers = (anchors[:, :2] + anchors[:, 2:]) / 2 + deltas[:, :2] * sizes
  sizes = sizes * np.exp(deltas[:, 2:])
  boxes = np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=-1)
  boxes = np.clip(boxes, 0, np.tile(image_shape, 2))
  large = np.all(boxes[:, 2:] > boxes[:, :2], axis=-1)
  boxes, scores = boxes[large], scores[order][large]
  kept = _suppress(boxes, 0.7)
  return boxes[kept], scores[kept]


def _expected(deltas, logits, anchors, image, top_k, num):
  levels = [
    _level_proposals(
      deltas[level][image].numpy(),
      logits[level][image].numpy(),
      anchors[level].numpy(),
      _IMAGE_SHAPE[image],
      top_k,
    )
    for level in _SHAPES
  ]
  boxes, scores = (np.concatenate(parts) for parts in zip(*levels))
  order = np.argsort(-scores)[:num]
  return boxes[order], scores[order]


@pytest.mark.parametrize('training, top_k, num', [(True, 50, 300), (False, 40, 20)])
@pytest.mark.parametrize('traced', [False, True])
def test_proposals_equal_those_of_numpy(training, top_k, num, traced):
  generator = roi_generator.ProposalGenerator(
    pre_nms_top_k=50, num_proposals=300, test_pre_nms_top_k=40, test_num_proposals=20
  )
  maps = _maps()
  function = tf.function(generator, autograph=False) if traced else generator
  proposals = function(*maps, _IMAGE_SHAPE, training=training)
  assert proposals.boxes.shape == (2, num, 4)
  for image in range(2):
    boxes, scores = _expected(*maps, image, top_k, num)
    np.testing.assert_array_equal(proposals.valid[image], np.arange(num) < len(boxes))
    np.testing.assert_allclose(proposals.boxes[image, : len(boxes)], boxes, atol=1e-4)
    np.testing.assert_allclose(proposals.scores[image, : len(boxes)], scores, atol=1e-6)
    assert np.all(proposals.boxes[image, len(boxes) :] == -1)
    assert not np.any(proposals.scores[image, len(boxes) :])


def test_anchors_may_have_a_batch_axis():
  deltas, logits, anchors = _maps()
  batched = {level: tf.tile(boxes[None], [2, 1, 1]) for level, boxes in anchors.items()}
  generator = roi_generator.ProposalGenerator()
  for one, other in zip(
    generator(deltas, logits, anchors, _IMAGE_SHAPE),
    generator(deltas, logits, batched, _IMAGE_SHAPE),
  ):
    np.testing.assert_array_equal(one, other)


def test_boxes_of_at_most_the_minimum_size_are_dropped():
  """With zero deltas, proposals are the anchors of 8 and 16 px, clipped to a strip of 10 px."""
  shapes = {'1': (4, 4), '2': (4, 4)}
  deltas = {level: tf.zeros([1, *shape, 4]) for level, shape in shapes.items()}
  logits = {level: tf.random.normal([1, *shape, 1]) for level, shape in shapes.items()}
  anchors = anchor_ops.generate_anchors(shapes, scale=4.0, aspect_ratios=(1.0,))
  shape = tf.constant([[10.0, 100.0]])
  sizes = {}
  for min_size in (0.0, 8.0):
    proposals = roi_generator.ProposalGenerator(min_size=min_size)(deltas, logits, anchors, shape)
    boxes = proposals.boxes[proposals.valid].numpy()
    sizes[min_size] = (boxes[:, 2:] - boxes[:, :2]).min()
  assert 0 < sizes[0.0] <= 8 < sizes[8.0]


def test_an_image_without_extent_gives_only_padding():
  proposals = roi_generator.ProposalGenerator(test_num_proposals=5)(*_maps(), np.zeros([2, 2]))
  assert not np.any(proposals.valid) and np.all(proposals.boxes == -1)


def test_sizes_may_be_unknown_when_traced():
  deltas, logits, anchors = _maps()

  def free(values, rank):
    return tf.TensorSpec([None] * (rank - 1) + [values.shape[-1]])

  function = tf.function(
    roi_generator.ProposalGenerator(test_num_proposals=7),
    input_signature=[
      {level: free(value, 4) for level, value in deltas.items()},
      {level: free(value, 4) for level, value in logits.items()},
      {level: free(value, 2) for level, value in anchors.items()},
      tf.TensorSpec([None, 2]),
    ],
    autograph=False,
  )
  assert function(deltas, logits, anchors, _IMAGE_SHAPE).boxes.shape == (2, 7, 4)


def test_boxes_stay_exact_under_mixed_precision():
  maps = _maps()
  exact = roi_generator.ProposalGenerator()(*maps, _IMAGE_SHAPE)
  mixed = roi_generator.ProposalGenerator(dtype='mixed_bfloat16')(*maps, _IMAGE_SHAPE)
  np.testing.assert_array_equal(mixed.boxes, exact.boxes)


def test_no_gradient_flows_through_the_proposals():
  deltas, logits, anchors = _maps()
  with tf.GradientTape() as tape:
    tape.watch([deltas, logits])
    proposals = roi_generator.ProposalGenerator()(deltas, logits, anchors, _IMAGE_SHAPE)
    total = tf.reduce_sum(proposals.boxes) + tf.reduce_sum(proposals.scores)
  assert set(tape.gradient(total, list(deltas.values()) + list(logits.values()))) == {None}
