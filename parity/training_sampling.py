"""Comparison of assignments, sampled boxes and mask targets of a training step."""

import numpy as np
import tensorflow as tf

from htc_tf.modeling.cascade_stage import CascadeStage
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.outputs import (
  Candidates,
  GroundTruth,
  MaskOutputs,
  SampledRois,
  TrainingOutputs,
)
from htc_tf.ops import anchors as anchor_ops
from htc_tf.ops import assignment
from parity.check import Check, at_most
from parity.layout import yx
from parity.training_step import NUM_IMAGES, TrainingStep

_BOX_BAR = 1e-3  # px


def sampling_checks(model: HTCModel, outputs: TrainingOutputs, step: TrainingStep) -> list[Check]:
  """Checks of the samples that the RPN and every branch of every stage trained on.

  Args:
    model: model that ran the step, with the sampling rule 'even'.
    outputs: outputs of the model in the step.
    step: step of the reference.
  """
  checks = _anchor_checks(model, outputs, step)
  boxes, valid = step.proposals.boxes, step.proposals.valid
  ground_truth = GroundTruth(step.inputs['gt_boxes'], step.inputs['gt_classes'], None)
  for index, (stage, result) in enumerate(zip(model.cascade.stages, outputs.stages)):
    checks += _roi_checks(f'stage{index}/box_sampling', stage, boxes, valid, result.rois, step)
    boxes, valid = stage.refine(result.rois, result.deltas, step.inputs['image_shape'])
    # The outputs do not hold the RoIs of the mask branch; the rule samples the same ones again.
    mask_rois = stage.sample(Candidates(boxes, valid), ground_truth)
    checks += _roi_checks(f'stage{index}/mask_sampling', stage, boxes, valid, mask_rois, step)
    checks.append(_mask_target_check(index, result.masks, step))
  return checks


def _anchor_checks(model: HTCModel, outputs: TrainingOutputs, step: TrainingStep) -> list[Check]:
  """Checks of the assignment of every anchor, and of the sampled anchors and their matches."""
  thresholds = model.rpn.anchor_assigner.thresholds
  inside = anchor_ops.inside_image(outputs.anchors, step.inputs['image_shape']).numpy()
  wrong_matches = wrong_samples = 0
  for image in range(NUM_IMAGES):
    prefix = f'rpn_sampling_image{image}/'
    anchors = outputs.anchors.numpy()[inside[image]]
    assigned = _assign(anchors, _gt_boxes(step, image), thresholds, match_low_quality=True)
    wrong_matches += _num_different(assigned + 1, step.arrays[prefix + 'gt_index_plus1'])
    targets = [values[image].numpy() for values in outputs.rpn_targets]
    wrong_samples += np.sum(targets[0][~inside[image]] != -1)
    labels, matched_boxes = (values[inside[image]] for values in targets)
    wrong_samples += _num_wrong_anchors(prefix, labels, matched_boxes, _gt_boxes(step, image), step)
  return [
    at_most('RPN: anchors assigned differently', wrong_matches, 0),
    at_most('RPN: anchors sampled differently', wrong_samples, 0),
  ]


def _num_wrong_anchors(
  prefix: str,
  labels: np.ndarray,
  matched_boxes: np.ndarray,
  gt_boxes: np.ndarray,
  step: TrainingStep,
) -> int:
  """Number of anchors inside an image whose label or matched box differs."""
  positives, negatives, gt_index = (
    step.arrays[prefix + key] for key in ('pos_inds', 'neg_inds', 'pos_gt_index')
  )
  expected = np.full(labels.shape, -1)
  expected[negatives], expected[positives] = 0, 1
  other_box = np.any(matched_boxes[positives] != gt_boxes[gt_index], axis=-1)
  return np.sum(labels != expected) + np.sum(other_box)


def _roi_checks(
  key: str,
  stage: CascadeStage,
  boxes: tf.Tensor,
  valid: tf.Tensor,
  rois: SampledRois,
  step: TrainingStep,
) -> list[Check]:
  """Checks of the boxes before sampling, of their assignment and of the sampled RoIs.

  Args:
    key: start of the keys of this sampling in the pack, without the image.
    stage: stage that sampled.
    boxes: [batch, num, 4] boxes before sampling.
    valid: [batch, num] bool, False in padding rows.
    rois: sampled RoIs.
    step: step of the reference.
  """
  threshold = stage.assigner.iou_threshold
  thresholds = (threshold, threshold, threshold)
  difference, wrong_matches, wrong_samples = 0.0, 0, 0
  for image in range(NUM_IMAGES):
    prefix, gt_boxes = f'{key}_image{image}/', _gt_boxes(step, image)
    given = boxes[image].numpy()[valid[image].numpy()]
    difference = max(
      difference, _largest_difference(given, yx(step.arrays[prefix + 'input_boxes']))
    )
    assigned = _assign(given, gt_boxes, thresholds, stage.assigner.match_low_quality)
    assigned = np.concatenate([np.arange(len(gt_boxes)), assigned])
    wrong_matches += _num_different(assigned + 1, step.arrays[prefix + 'gt_index_plus1'])
    sampled = SampledRois(*(values[image].numpy() for values in rois))
    wrong_samples += _num_wrong_rois(prefix, gt_boxes, sampled, step)
  name = key.replace('/', ' ')
  return [
    at_most(f'{name}: boxes before sampling, largest difference in px', difference, _BOX_BAR),
    at_most(f'{name}: boxes assigned differently', wrong_matches, 0),
    at_most(f'{name}: RoIs sampled differently', wrong_samples, 0),
  ]


def _num_wrong_rois(
  prefix: str, gt_boxes: np.ndarray, sampled: SampledRois, step: TrainingStep
) -> int:
  """Number of RoIs that differ from the reference in box or match, or in being ground truth."""
  positives, negatives, gt_index, is_gt, others = (
    step.arrays[prefix + key]
    for key in ('pos_inds', 'neg_inds', 'pos_gt_index', 'pos_is_gt', 'input_boxes')
  )
  chosen = np.concatenate([gt_boxes, yx(others)])[np.concatenate([positives, negatives])]
  num = len(positives)
  if np.sum(sampled.valid) != len(chosen) or np.sum(sampled.positive) != num:
    return len(chosen)
  wrong = np.any(np.abs(sampled.boxes[: len(chosen)] - chosen) > _BOX_BAR, axis=-1)
  wrong[:num] |= ~sampled.positive[:num] | (sampled.gt_index[:num] != gt_index)
  wrong[:num] |= sampled.is_gt[:num] != is_gt.astype(bool)
  return np.sum(wrong)


def _mask_target_check(index: int, masks: MaskOutputs | None, step: TrainingStep) -> Check:
  """Check of the number of pixels of the mask targets that differ."""
  assert masks is not None
  targets = masks.targets.numpy()[masks.valid.numpy()]
  return at_most(
    f'stage{index} mask targets: pixels that differ',
    _num_different(targets, step.arrays[f'stage{index}/mask_targets']),
    0,
  )


def _gt_boxes(step: TrainingStep, image: int) -> np.ndarray:
  return yx(step.arrays[f'gt_image{image}_boxes'])


def _assign(
  boxes: np.ndarray,
  gt_boxes: np.ndarray,
  thresholds: tuple[float, float, float],
  match_low_quality: bool,
) -> np.ndarray:
  """Result of `ops.assignment.assign` for one image, [num]."""
  valid = np.ones([1, len(boxes)], bool)
  return assignment.assign(
    boxes[np.newaxis], valid, gt_boxes[np.newaxis], *thresholds, match_low_quality
  )[0].numpy()


def _num_different(actual: np.ndarray, expected: np.ndarray) -> int:
  """Number of entries that differ; all entries if the shapes differ."""
  if actual.shape != expected.shape:
    return max(actual.size, expected.size)
  return np.sum(actual != expected)


def _largest_difference(actual: np.ndarray, expected: np.ndarray) -> float:
  """Largest difference; infinite if the shapes differ."""
  return np.abs(actual - expected).max() if actual.shape == expected.shape else np.inf
