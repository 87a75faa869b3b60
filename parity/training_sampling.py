"""Assignments, sampled boxes and mask targets of a training step against the reference's."""

import numpy as np
import tensorflow as tf

from htc_tf.modeling.cascade_stage import CascadeStage
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.outputs import Candidates, GroundTruth, SampledRois, TrainingOutputs
from htc_tf.ops import anchors as anchor_ops
from htc_tf.ops import assignment
from parity.check import Check, at_most
from parity.layout import yx
from parity.training_step import NUM_IMAGES, TrainingStep

_BOX_BAR = 1e-3  # px


def sampling_checks(model: HTCModel, outputs: TrainingOutputs, step: TrainingStep) -> list[Check]:
  """Checks of what the RPN and every branch of every stage trained on.

  Args:
    model: what ran the step, with the 'even' sampling rule.
    outputs: of the step.
    step: the step of the reference.
  """
  checks = _anchor_checks(model, outputs, step)
  boxes, valid = step.proposals.boxes, step.proposals.valid
  truth = GroundTruth(step.inputs['gt_boxes'], step.inputs['gt_classes'], None)
  for index, (stage, result) in enumerate(zip(model.cascade.stages, outputs.stages)):
    checks += _roi_checks(f'stage{index}/box_sampling', stage, boxes, valid, result.rois, step)
    boxes, valid = stage.refine(result.rois, result.deltas, step.inputs['image_shape'])
    # The outputs hold no RoIs of the mask branch; the rule is repeatable, so these are the same.
    mask_rois = stage.sample(Candidates(boxes, valid), truth)
    checks += _roi_checks(f'stage{index}/mask_sampling', stage, boxes, valid, mask_rois, step)
    checks.append(_mask_target_check(index, result.masks, step))
  return checks


def _anchor_checks(model: HTCModel, outputs: TrainingOutputs, step: TrainingStep) -> list[Check]:
  """Every anchor's assignment, and which are sampled for which truth."""
  thresholds = model.rpn.anchor_assigner.thresholds
  inside = anchor_ops.inside_image(outputs.anchors, step.inputs['image_shape']).numpy()
  wrong_truths = wrong_samples = 0
  for image in range(NUM_IMAGES):
    prefix = f'rpn_sampling_image{image}/'
    anchors = outputs.anchors.numpy()[inside[image]]
    assigned = _assign(anchors, _truth(step, image), thresholds, match_low_quality=True)
    wrong_truths += _num_different(assigned + 1, step.arrays[prefix + 'gt_index_plus1'])
    targets = [values[image].numpy() for values in outputs.rpn_targets]
    wrong_samples += np.sum(targets[0][~inside[image]] != -1)
    wrong_samples += _num_wrong_anchors(
      prefix, *(x[inside[image]] for x in targets), _truth(step, image), step
    )
  return [
    at_most('RPN: anchors of another assignment', wrong_truths, 0),
    at_most('RPN: anchors sampled otherwise', wrong_samples, 0),
  ]


def _num_wrong_anchors(
  prefix: str,
  labels: np.ndarray,
  matched_boxes: np.ndarray,
  gt_boxes: np.ndarray,
  step: TrainingStep,
) -> int:
  """Number of anchors inside an image whose label or matched box differs."""
  positives, negatives, truths = (
    step.arrays[prefix + key] for key in ('pos_inds', 'neg_inds', 'pos_gt_index')
  )
  expected = np.full(labels.shape, -1)
  expected[negatives], expected[positives] = 0, 1
  other_box = np.any(matched_boxes[positives] != gt_boxes[truths], axis=-1)
  return np.sum(labels != expected) + np.sum(other_box)


def _roi_checks(
  key: str,
  stage: CascadeStage,
  boxes: tf.Tensor,
  valid: tf.Tensor,
  rois: SampledRois,
  step: TrainingStep,
) -> list[Check]:
  """Distance of the boxes before sampling, their assignment, and which were sampled.

  Args:
    key: of the sampling in the pack, without the image.
    stage: whose sampling it is.
    boxes: [batch, num, 4] what it was given.
    valid: [batch, num] which of these are boxes.
    rois: what it sampled.
    step: the step of the reference.
  """
  thresholds = [stage.assigner.iou_threshold] * 3
  distance, wrong_truths, wrong_samples = 0.0, 0, 0
  for image in range(NUM_IMAGES):
    prefix, gt_boxes = f'{key}_image{image}/', _truth(step, image)
    given = boxes[image].numpy()[valid[image].numpy()]
    distance = max(distance, _distance(given, yx(step.arrays[prefix + 'input_boxes'])))
    assigned = _assign(given, gt_boxes, thresholds, stage.assigner.match_low_quality)
    assigned = np.concatenate([np.arange(len(gt_boxes)), assigned])
    wrong_truths += _num_different(assigned + 1, step.arrays[prefix + 'gt_index_plus1'])
    sampled = SampledRois(*(values[image].numpy() for values in rois))
    wrong_samples += _num_wrong_rois(prefix, gt_boxes, sampled, step)
  name = key.replace('/', ' ')
  return [
    at_most(f'{name}: boxes before it, largest distance in px', distance, _BOX_BAR),
    at_most(f'{name}: boxes of another assignment', wrong_truths, 0),
    at_most(f'{name}: RoIs sampled otherwise', wrong_samples, 0),
  ]


def _num_wrong_rois(
  prefix: str, gt_boxes: np.ndarray, sampled: SampledRois, step: TrainingStep
) -> int:
  """Number of RoIs that are not the box, or not for the truth, that the reference chose there."""
  positives, negatives, truths, is_gt, others = (
    step.arrays[prefix + key]
    for key in ('pos_inds', 'neg_inds', 'pos_gt_index', 'pos_is_gt', 'input_boxes')
  )
  chosen = np.concatenate([gt_boxes, yx(others)])[np.concatenate([positives, negatives])]
  num = len(positives)
  if np.sum(sampled.valid) != len(chosen) or np.sum(sampled.positive) != num:
    return len(chosen)
  wrong = np.any(np.abs(sampled.boxes[: len(chosen)] - chosen) > _BOX_BAR, axis=-1)
  wrong[:num] |= ~sampled.positive[:num] | (sampled.gt_index[:num] != truths)
  wrong[:num] |= sampled.is_gt[:num] != is_gt.astype(bool)
  return np.sum(wrong)


def _mask_target_check(index: int, masks, step: TrainingStep) -> Check:
  """Pixels of the targets that differ."""
  targets = masks.targets.numpy()[masks.valid.numpy()]
  return at_most(
    f'stage{index} mask targets: pixels that differ',
    _num_different(targets, step.arrays[f'stage{index}/mask_targets']),
    0,
  )


def _truth(step: TrainingStep, image: int) -> np.ndarray:
  return yx(step.arrays[f'gt_image{image}_boxes'])


def _assign(
  boxes: np.ndarray, gt_boxes: np.ndarray, thresholds, match_low_quality: bool
) -> np.ndarray:
  """[num] rows of the truth, or -1 and -2 as `ops.assignment` has them."""
  valid = np.ones([1, len(boxes)], bool)
  return assignment.assign(
    boxes[np.newaxis], valid, gt_boxes[np.newaxis], *thresholds, match_low_quality
  )[0].numpy()


def _num_different(actual: np.ndarray, expected: np.ndarray) -> int:
  """Number of entries that differ: all if the shapes do."""
  if actual.shape != expected.shape:
    return max(actual.size, expected.size)
  return np.sum(actual != expected)


def _distance(actual: np.ndarray, expected: np.ndarray) -> float:
  """Largest difference: infinite if the shapes differ."""
  return np.abs(actual - expected).max() if actual.shape == expected.shape else np.inf
