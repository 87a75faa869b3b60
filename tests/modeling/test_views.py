"""Tests of the views of images and of detection in several of them."""

import types

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.errors import InputError
from htc_tf.modeling import multi_view
from htc_tf.modeling.detection import DetectionGenerator
from htc_tf.modeling.multi_view import Fusion, detect_views
from htc_tf.modeling.outputs import Proposals
from htc_tf.modeling.views import View
from tests import tiny

SHAPES = np.array([[48, 40], [64, 64]], np.float32)


def _view(images=None, scale=((1.0, 1.0), (1.0, 1.0))) -> View:
  if images is None:
    images = np.random.default_rng(0).normal(size=[2, 64, 64, 3])
  inside = np.zeros_like(images)
  for row, (height, width) in enumerate(SHAPES.astype(int)):
    inside[row, :height, :width] = images[row, :height, :width]
  return View(tf.constant(inside, tf.float32), tf.constant(SHAPES), tf.constant(scale))


def test_boxes_are_scaled_and_mirrored():
  view = View(tf.zeros([1, 64, 64, 3]), tf.constant([[50.0, 60.0]]), tf.constant([[0.5, 2.0]]))
  original = tf.constant([[[10.0, 4, 20, 9]]])
  np.testing.assert_array_equal(view.from_original(original), [[[5, 8, 10, 18]]])
  np.testing.assert_array_equal(view.mirrored().from_original(original), [[[5, 42, 10, 52]]])
  for each in (view, view.mirrored()):
    np.testing.assert_array_equal(each.to_original(each.from_original(original)), original)


def test_images_are_mirrored_inside_their_padding():
  view = _view()
  mirrored = view.mirrored()
  for row, (_, width) in enumerate(SHAPES.astype(int)):
    pixels = view.images[row].numpy()
    np.testing.assert_array_equal(mirrored.images[row, :, :width], pixels[:, :width][:, ::-1])
    assert not np.any(mirrored.images[row, :, width:])
  assert mirrored.is_mirrored and not mirrored.mirrored().is_mirrored
  np.testing.assert_array_equal(mirrored.mirrored().images, view.images)


@pytest.fixture(scope='module')
def htc():
  return tiny.build(tiny.model(detection_generator={'score_threshold': 0.0}), seed=3)


def test_one_view_gives_plain_detections_bit_for_bit(htc):
  view = _view()
  found, plain = detect_views(htc, [view], Fusion()), htc.detect(view.inputs)
  for value, expected in zip(found, plain):
    np.testing.assert_array_equal(value, expected)


def _sorted(detections, row):
  count = int(detections.num_detections[row])
  return [values[row, :count].numpy() for values in detections[:3]]


VARIANTS = {
  'one stage': {'num_stages': 1},
  'two stages': {'num_stages': 2},
  'three stages': {},
  'without semantic branch': {'semantic_head': {'enabled': False}},
  'without masks': {'include_mask': False},
  'last masks': {'detection_generator': {'mask_ensemble': 'last'}},
}


@pytest.mark.parametrize('ranges', [False, True])
@pytest.mark.parametrize('variant', VARIANTS)
def test_a_mirrored_image_gives_mirrored_detections(variant, ranges):
  """The views of an image and of its mirror image are the same, in the other order."""
  model = tiny.build(tiny.model(**VARIANTS[variant]), seed=5)
  view = _view()
  swapped = view.mirrored()._replace(is_mirrored=False)
  fusion = Fusion(num_proposals=20, area_ranges=((0.0, 1e4), (0.0, 1e4)) if ranges else ())
  found = detect_views(model, [view, view.mirrored()], fusion)
  other = detect_views(model, [swapped, swapped.mirrored()], fusion)
  assert sum(found.num_detections) > 0
  np.testing.assert_array_equal(found.num_detections, other.num_detections)
  for row, (_, width) in enumerate(SHAPES):
    boxes, scores, classes = _sorted(found, row)
    other_boxes, other_scores, other_classes = _sorted(other, row)
    np.testing.assert_allclose(other_scores, scores, rtol=1e-4)
    np.testing.assert_array_equal(other_classes, classes)
    np.testing.assert_allclose(other_boxes[:, 1], width - boxes[:, 3], atol=1e-3)
    np.testing.assert_allclose(other_boxes[:, [0, 2]], boxes[:, [0, 2]], atol=1e-3)
    if found.masks is not None:
      rows = len(scores)
      np.testing.assert_allclose(
        other.masks[row, :rows], found.masks[row, :rows, :, ::-1], atol=1e-4
      )


def _stub(of_views):
  """A model whose results in each view are given.

  Args:
    of_views: for each view proposals [num, 4], their scores, boxes after the cascade [num, 4],
      probabilities [num, 2] of background and one class, and a value of all masks.
  """
  calls = []

  def extract(inputs, training):
    calls.append(training)
    features = types.SimpleNamespace(number=int(inputs['images'][0, 0, 0, 0]))
    features.with_pooling_table = lambda: features
    return features, None

  def propose(features, training):
    boxes, scores = of_views[features.number][:2]
    valid = tf.constant([[score > 0 for score in scores]])
    found = Proposals(tf.constant([boxes], tf.float32), tf.constant([scores], tf.float32), valid)
    return types.SimpleNamespace(proposals=found)

  def classify(features, proposals):
    boxes, probs = of_views[features.number][2:4]
    calls.append(proposals.boxes[0].numpy().tolist())
    return tf.math.log(tf.constant([probs])), tf.constant([boxes], tf.float32)

  def segment(features, boxes, classes):
    calls.append(boxes[0].numpy().tolist())
    left = tf.fill([1, boxes.shape[1], 2, 1], of_views[features.number][4])
    return tf.concat([left, tf.zeros_like(left)], -1)  # The left half of the mask is set.

  cascade = types.SimpleNamespace(classify=classify, segment=segment, has_masks=True)
  generator = DetectionGenerator(score_threshold=0.05, max_detections=3)
  model = types.SimpleNamespace(
    extract=extract, propose=propose, cascade=cascade, detection_generator=generator
  )
  return model, calls


def _numbered(number, width, scale, mirrored):
  images = tf.fill([1, 64, 64, 3], float(number))
  shape = tf.constant([[40.0, float(width)]])
  return View(images, shape, tf.constant([[scale, scale]], tf.float32), mirrored)


def test_means_over_views_by_hand():
  far, none = [50.0, 50, 60, 60], [-1] * 4
  model, calls = _stub(
    [
      # The proposal of the second view is that of the first one, which has a better score.
      ([[0, 0, 10, 10], [-1] * 4], [0.9, 0.0], [[0, 0, 10, 12], far], [[0.2, 0.8], [1, 1e-9]], 0.6),
      (
        [[0, 60, 20, 80], [-1] * 4],
        [0.5, 0.0],
        [[4, 56, 20, 80], far],
        [[0.6, 0.4], [1, 1e-9]],
        0.2,
      ),
    ]
  )
  views = [_numbered(0, 40, 1.0, False), _numbered(1, 80, 2.0, True)]
  found = detect_views(model, views, Fusion(num_proposals=2))
  # Both views get the one proposal in their own pixels; -1 stands for padding.
  assert calls[2:4] == [[[0, 0, 10, 10], none], [[0, 60, 20, 80], none]]
  # The box of the second view is [2, 0, 10, 12] in the original image.
  np.testing.assert_allclose(found.boxes[0, 0], [1, 0, 10, 12], rtol=1e-6)
  np.testing.assert_allclose(found.scores[0], [0.6, 0, 0], rtol=1e-6)
  assert int(found.num_detections[0]) == 1
  # The mask of the second view covers the right half once it is mirrored back.
  np.testing.assert_allclose(found.masks[0, 0], [[0.3, 0.1]] * 2, rtol=1e-6)
  assert not np.any(found.masks[0, 1:])
  assert calls[:2] == [False, False] and len(calls) == 6  # Each part runs once in every view.
  np.testing.assert_allclose(calls[5][0], [2, 56, 20, 80], rtol=1e-6)


def test_ranges_of_areas_by_hand():
  boxes = [[0.0, 0, 10, 10], [20, 20, 24, 24], [0, 0, 8, 8]]
  refined = [[40.0, 40, 52, 52], [0, 0, 4, 4], [0] * 4]
  probs = [[0.2, 0.8], [0.3, 0.7], [0.1, 0.9]]
  model, calls = _stub(
    [
      (boxes, [0.9, 0.8, 0.7], boxes, probs, 0.5),
      (
        [[0, 0, 40, 40]] * 3,
        [0.9, 0.8, 0.0],
        refined,
        probs,
        0.5,
      ),
    ]
  )
  views = [_numbered(0, 40, 1.0, False), _numbered(1, 80, 2.0, False)]
  found = detect_views(model, views, Fusion(area_ranges=((8, 100), (0, 8))))
  # Of the first view the box with a side of 10 (that of 8 belongs to the range below), and of the
  # second one both that are found: 6 and 2 in original pixels. The third is a padding row.
  np.testing.assert_allclose(found.scores[0], [0.8, 0.8, 0.7], rtol=1e-6)
  sides = (found.boxes[0, :, 2] - found.boxes[0, :, 0]).numpy()
  np.testing.assert_allclose(sides, [10, 6, 2], rtol=1e-6)
  assert calls[2] == boxes  # Every view keeps proposals of its own.


@pytest.mark.parametrize(
  'views, fusion, message',
  [
    ([], Fusion(), '0 views'),
    ([_view().mirrored()], Fusion(), r'mirrored: \[True\]'),
    ([_view()], Fusion(area_ranges=((0, 1), (1, 2))), '2 ranges'),
  ],
)
def test_wrong_views_are_refused(htc, views, fusion, message):
  with pytest.raises(InputError, match=message):
    detect_views(htc, views, fusion)


def test_views_of_other_scales_run_in_a_graph(htc):
  small = View(
    tf.random.normal([2, 32, 32, 3]), tf.constant(SHAPES / 2), tf.fill([2, 2], 0.5), False
  )
  view = _view()
  fusion = Fusion(num_proposals=20)
  run = tf.function(
    lambda images, other: multi_view.detect_views(
      htc, [view._replace(images=images), small._replace(images=other)], fusion
    ),
    autograph=False,
  )
  found, expected = run(view.images, small.images), detect_views(htc, [view, small], fusion)
  np.testing.assert_array_equal(found.num_detections, expected.num_detections)
  np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
  limits = np.concatenate([SHAPES, SHAPES], -1)[:, None] + 1e-3
  assert np.all(found.boxes.numpy() <= limits) and np.all(found.boxes.numpy() >= -1e-3)
