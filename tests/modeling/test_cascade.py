"""Tests of the cascade with simple heads whose results can be computed by hand."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.modeling.cascade import Cascade
from htc_tf.modeling.cascade_stage import CascadeStage
from htc_tf.modeling.layers.stage_assigner import StageAssigner
from htc_tf.modeling.outputs import GroundTruth, ImageFeatures, Proposals, SampledRois

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
FEATURES = ImageFeatures({}, None, tf.constant([[64.0, 64.0]]))
GT_BOX = [10.0, 10.0, 30.0, 30.0]
# IoU with the ground-truth box: 2/3, 1/3 and 0.
PROPOSED = [[10.0, 14.0, 30.0, 34.0], [10.0, 20.0, 30.0, 40.0], [40.0, 40.0, 60.0, 60.0]]


class RoIBoxes(tf_keras.layers.Layer):
  """RoI features that are the RoI itself: [batch, num_rois, 1, 1, 4]."""

  def call(self, features, rois):
    del features
    return rois[:, :, tf.newaxis, tf.newaxis, :]


class ShiftHead(tf_keras.layers.Layer):
  """Box head that shifts every RoI left by a share of its width; the logits are constant."""

  def __init__(self, share, logits=(0.0, 1.0)):
    super().__init__()
    self.share = tf.Variable(share)
    self.logits = logits
    self.rois = []

  def call(self, roi_features, training=None, valid=None):
    del training, valid
    self.rois.append(np.asarray(roi_features[:, :, 0, 0]))
    ones = tf.ones_like(roi_features[:, :, 0, 0, :1])
    deltas = tf.concat([0 * ones, -10.0 * self.share * ones, 0 * ones, 0 * ones], -1)
    return ones * tf.constant(self.logits), deltas


class AddHead(tf_keras.layers.Layer):
  """Mask head: the sum of the RoI feature, a constant and half of the previous feature."""

  def __init__(self, constant):
    super().__init__()
    self.constant = constant
    self.calls = []

  def call(self, roi_features, previous=None):
    self.calls.append((roi_features, previous))
    return roi_features[..., :1] + self.constant + (0.5 * previous if previous is not None else 0)


class FirstChannel(tf_keras.layers.Layer):
  """Mask predictor whose logit is the feature itself."""

  def call(self, features, classes):
    del classes
    return features[..., 0]


def build_stage(share=0.0, logits=(0.0, 1.0), constant=None, iou_threshold=0.5, num_samples=8):
  masks = (
    {} if constant is None else {'mask_head': AddHead(constant), 'mask_predictor': FirstChannel()}
  )
  assigner = StageAssigner(iou_threshold, num_samples, 0.5, rule='even')
  return CascadeStage(ShiftHead(share, logits), assigner, WEIGHTS, **masks)


def proposals(boxes=PROPOSED, valid=None):
  boxes = tf.constant([boxes])
  valid = tf.ones(boxes.shape[:2], bool) if valid is None else tf.constant([valid])
  return Proposals(boxes, tf.ones(boxes.shape[:2]), valid)


def ground_truth():
  masks = np.zeros([1, 1, 64, 64], np.uint8)
  masks[0, 0, 10:30, 10:30] = 1
  return GroundTruth(
    tf.constant([[GT_BOX]]), tf.constant([[1]]), tf.constant(np.packbits(masks, -1))
  )


def test_refine_drops_ground_truth_and_padding_and_stops_the_gradient():
  stage = build_stage()
  boxes = tf.constant([[GT_BOX, PROPOSED[0], [50.0, 50.0, 60.0, 60.0], [-1.0] * 4]])
  rois = SampledRois(
    boxes,
    valid=tf.constant([[True, True, True, False]]),
    positive=None,
    gt_index=None,
    classes=None,
    matched_boxes=None,
    is_gt=tf.constant([[True, False, False, False]]),
  )
  deltas = tf.Variable(tf.tile([[[0.0, 5.0, 0.0, 0.0]]], [1, 4, 1]))  # Half a width to the right.
  with tf.GradientTape() as tape:
    refined, valid = stage.refine(rois, deltas, FEATURES.image_shape)
    total = tf.reduce_sum(refined)
  np.testing.assert_array_equal(valid, [[False, True, True, False]])
  np.testing.assert_allclose(
    refined[0], [[-1] * 4, [10, 24, 30, 44], [50, 55, 60, 64], [-1] * 4], atol=1e-4
  )
  assert tape.gradient(total, deltas) is None


def test_each_stage_samples_from_the_boxes_of_the_previous_stage():
  stages = [build_stage(0.1), build_stage(0.2), build_stage(0.0)]
  outputs = Cascade(stages, RoIBoxes()).train(FEATURES, proposals(), ground_truth())
  for stage, shift in zip(outputs, (0.0, 2.0, 6.0)):
    rows = set(map(tuple, stage.rois.boxes[stage.rois.valid].numpy().round(3)))
    expected = {(top, left - shift, bottom, right - shift) for top, left, bottom, right in PROPOSED}
    assert rows == expected | {tuple(GT_BOX)}
    assert stage.masks is None
    np.testing.assert_array_equal(stage.rois.is_gt[0, :4].numpy().sum(), 1)


@pytest.mark.parametrize('interleaved,left', [(True, 10.0), (False, 14.0)])
def test_mask_branch_trains_on_refined_boxes_when_interleaved(interleaved, left):
  stage = build_stage(0.2, constant=0.0)  # The first proposal is refined to GT_BOX.
  cascade = Cascade([stage], RoIBoxes(), RoIBoxes(), interleaved=interleaved, num_mask_rois=4)
  (output,) = cascade.train(FEATURES, proposals(), ground_truth())
  ((roi_features, _),) = stage.mask_head.calls
  valid = output.masks.valid[0].numpy()
  boxes = roi_features.numpy().reshape(-1, 4)
  expected = [GT_BOX, [10.0, left, 30.0, left + 20.0]]
  if interleaved:
    expected.append([10.0, 16.0, 30.0, 36.0])  # The second proposal has become positive.
  np.testing.assert_allclose(boxes[valid], expected, atol=1e-4)
  np.testing.assert_array_equal(boxes[~valid], -1.0)
  np.testing.assert_allclose(output.rois.boxes[0, :2], [GT_BOX, PROPOSED[0]], atol=1e-4)


def test_the_number_of_mask_rois_is_limited():
  stage = build_stage(constant=0.0)
  cascade = Cascade([stage], RoIBoxes(), RoIBoxes(), num_mask_rois=4)
  (output,) = cascade.train(FEATURES, proposals([GT_BOX] * 9), ground_truth())
  assert output.masks.logits.shape[:2] == [1, 4]
  assert np.all(output.masks.valid)


@pytest.mark.parametrize('num_positive,expected', [(0, 16), (3, 16), (16, 16), (17, 20)])
def test_mask_heads_run_only_on_the_positives(num_positive, expected):
  """The number of RoIs is rounded up to a multiple of 16, and limited to the maximum of 20."""
  stage = build_stage(constant=0.0, num_samples=40)
  cascade = Cascade([stage], RoIBoxes(), RoIBoxes(), interleaved=False, num_mask_rois=20)
  instances = ground_truth()
  if not num_positive:
    instances = instances._replace(boxes=-tf.ones([1, 1, 4]), classes=-tf.ones([1, 1], tf.int32))
  # The ground-truth box is one more positive.
  boxes = [GT_BOX] * max(num_positive - 1, 0) + [PROPOSED[2]] * 20
  (output,) = cascade.train(FEATURES, proposals(boxes), instances)
  ((roi_features, _),) = stage.mask_head.calls
  assert len(roi_features) == expected
  assert output.masks.logits.shape == [*output.masks.targets.shape[:2], 1, 1]
  assert np.sum(output.masks.valid) == num_positive


def test_compiled_mask_heads_run_on_the_maximum_number_of_rois():
  stage = build_stage(constant=0.0)
  cascade = Cascade([stage], RoIBoxes(), RoIBoxes(), num_mask_rois=20)
  numbers = []

  @tf.function(jit_compile=True, autograph=False)
  def trace(positive):
    numbers.append(cascade._num_rois_to_run(positive))
    return positive

  trace(tf.constant([[True, False]]))
  assert numbers == [20]


def test_a_mask_head_gets_the_feature_of_all_earlier_mask_heads():
  """Equations 3 and 4 of the paper by hand, on one RoI; its feature is its top edge, 10."""
  stages = [build_stage(constant=constant) for constant in (1.0, 2.0, 4.0)]
  cascade = Cascade(stages, RoIBoxes(), RoIBoxes(), num_mask_rois=1)
  outputs = cascade.train(FEATURES, proposals([GT_BOX]), ground_truth())
  expected = [10 + 1.0, 10 + 2 + 11 / 2, 10 + 4 + 17.5 / 2]
  for output, value in zip(outputs, expected):
    np.testing.assert_allclose(output.masks.logits[0, 0], [[value]])
  assert [len(stage.mask_head.calls) for stage in stages] == [3, 2, 1]


def test_without_information_flow_earlier_mask_heads_do_not_run():
  stages = [build_stage(constant=constant) for constant in (1.0, 2.0)]
  cascade = Cascade(stages, RoIBoxes(), RoIBoxes(), num_mask_rois=1, information_flow=False)
  outputs = cascade.train(FEATURES, proposals([GT_BOX]), ground_truth())
  for output, value in zip(outputs, (11.0, 12.0)):
    np.testing.assert_allclose(output.masks.logits[0, 0], [[value]])
  assert [len(stage.mask_head.calls) for stage in stages] == [1, 1]


def test_the_gradient_passes_through_the_chain_of_mask_heads():
  stages = [build_stage(constant=tf.Variable(constant)) for constant in (1.0, 2.0)]
  cascade = Cascade(stages, RoIBoxes(), RoIBoxes(), num_mask_rois=1)
  with tf.GradientTape() as tape:
    last = cascade.train(FEATURES, proposals([GT_BOX]), ground_truth())[-1]
    total = tf.reduce_sum(last.masks.logits)
  gradients = tape.gradient(total, [stage.mask_head.constant for stage in stages])
  np.testing.assert_allclose(gradients, [0.5, 1.0])


def test_classify_gives_mean_logits_and_the_boxes_of_the_last_stage():
  logits = [(0.0, 1.0), (4.0, 2.0), (2.0, 0.0)]
  stages = [build_stage(share, row) for share, row in zip((0.1, 0.2, 0.1), logits)]
  mean, boxes = Cascade(stages, RoIBoxes()).classify(FEATURES, proposals(valid=[True, False, True]))
  np.testing.assert_allclose(mean[0], [[2.0, 1.0]] * 3)
  np.testing.assert_allclose(
    boxes[0], [[10.0, 6.0, 30.0, 26.0], [-1.0] * 4, [40.0, 32.0, 60.0, 52.0]], atol=1e-4
  )
  np.testing.assert_allclose(stages[1].box_head.rois[0][0, 0], [10.0, 12.0, 30.0, 32.0], atol=1e-4)


def probability(logit):
  return 1 / (1 + np.exp(-logit))


@pytest.mark.parametrize('flow,logits', [(True, (0.5, -0.25, -1.125)), (False, (0.5, -0.5, -1.0))])
@pytest.mark.parametrize('ensemble', ['mean', 'last'])
def test_segment_runs_each_mask_head_once(flow, logits, ensemble):
  stages = [build_stage(constant=constant) for constant in (0.5, -0.5, -1.0)]
  cascade = Cascade(stages, RoIBoxes(), RoIBoxes(), information_flow=flow, mask_ensemble=ensemble)
  boxes = tf.constant([[[0.0, 0.0, 8.0, 8.0]] * 2])
  masks = cascade.segment(FEATURES, boxes, tf.constant([[1, 1]]))
  probs = [probability(logit) for logit in logits]
  expected = np.mean(probs) if ensemble == 'mean' else probs[-1]
  np.testing.assert_allclose(masks, np.full([1, 2, 1, 1], expected), rtol=1e-5)
  assert [len(stage.mask_head.calls) for stage in stages] == [1, 1, 1]
