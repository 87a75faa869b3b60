"""Tests of the weights on the terms of the objective."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.configs import model as model_config
from htc_tf.configs import task as task_config
from htc_tf.errors import InputError
from htc_tf.losses import htc_loss
from htc_tf.modeling.outputs import (
  AnchorTargets,
  ContextOutputs,
  MaskOutputs,
  SampledRois,
  StageOutputs,
  TrainingOutputs,
)

WEIGHTS = {
  'rpn_class_weight': 'rpn_class_loss',
  'rpn_box_weight': 'rpn_box_loss',
  'class_weight': 'class_loss',
  'box_weight': 'box_loss',
  'mask_weight': 'mask_loss',
  'semantic_weight': 'semantic_loss',
}
STAGES = model_config.published_stages()[:2]


def make_outputs(with_masks=True, with_semantic=True):
  """Two stages with one positive and one background RoI; all logits and deltas are zero."""
  box, gt_box = [0.0, 0.0, 10.0, 10.0], [0.0, 5.0, 10.0, 15.0]
  rois = SampledRois(
    tf.constant([[box, box]]),
    tf.constant([[True, True]]),
    tf.constant([[True, False]]),
    tf.zeros([1, 2], tf.int32),
    tf.constant([[1, 0]]),
    tf.constant([[gt_box, box]]),
    tf.zeros([1, 2], bool),
  )
  masks = MaskOutputs(tf.zeros([1, 1, 4, 4]), tf.ones([1, 1, 4, 4]), tf.constant([[True]]))
  stage = StageOutputs(
    rois, tf.zeros([1, 2, 2]), tf.zeros([1, 2, 4]), masks if with_masks else None
  )
  return TrainingOutputs(
    tf.constant([box, box]),
    tf.zeros([1, 2]),
    tf.zeros([1, 2, 4]),
    AnchorTargets(tf.constant([[1, 0]]), tf.constant([[gt_box, box]])),
    tf.zeros([1, 2, 2, 4]) if with_semantic else None,
    (stage, stage),
  )


def test_a_mask_branch_that_stages_share_has_the_sum_of_their_weights():
  outputs = make_outputs()
  first, last = outputs.stages
  outputs = outputs._replace(stages=(first._replace(masks=None), last))
  terms = htc_loss.weighted_terms(outputs, LABELS, task_config.Losses(), STAGES)
  assert list(terms) == htc_loss.term_names(2, True, True, shared_mask=True)
  np.testing.assert_allclose(terms['stage1_mask_loss'], 1.5 * np.log(2), rtol=1e-5)


def test_the_global_context_has_its_weight():
  context = ContextOutputs(tf.zeros([1, 3]), tf.constant([[2, -1]]))
  outputs = make_outputs()._replace(context=context)
  terms = htc_loss.weighted_terms(outputs, LABELS, task_config.Losses(), STAGES)
  assert list(terms) == htc_loss.term_names(2, True, True, include_context=True)
  np.testing.assert_allclose(terms['context_loss'], 3.0 * np.log(2), rtol=1e-5)


def test_the_generalized_iou_takes_the_place_of_smooth_l1():
  losses = task_config.Losses(box_kind='giou', box_weight=10.0)
  terms = htc_loss.weighted_terms(make_outputs(), LABELS, losses, STAGES)
  # Boxes of 10x10 shifted by 5: IoU 1/3, and the hull has no more area. Two RoIs, one positive.
  np.testing.assert_allclose(terms['stage0_box_loss'], 10 * (1 - 1 / 3) / 2, rtol=1e-5)


LABELS = tf.zeros([1, 16, 16], tf.uint8)


def test_terms_by_hand():
  terms = htc_loss.weighted_terms(make_outputs(), LABELS, task_config.Losses(), STAGES)
  # The ground truth is half a width to the right: dx = 0.5 times the weight of the box coder.
  expected = {
    'rpn_class_loss': np.log(2),
    'rpn_box_loss': (0.5 - 0.5 / 9) / 2,
    'semantic_loss': 0.2 * np.log(4),
    'stage0_class_loss': np.log(2),
    'stage0_box_loss': (5 - 0.5) / 2,
    'stage0_mask_loss': np.log(2),
    'stage1_class_loss': 0.5 * np.log(2),
    'stage1_box_loss': 0.5 * (10 - 0.5) / 2,
    'stage1_mask_loss': 0.5 * np.log(2),
  }
  assert list(terms) == list(expected) == list(htc_loss.term_names(2, True, True))
  np.testing.assert_allclose(list(terms.values()), list(expected.values()), rtol=1e-5)
  np.testing.assert_allclose(htc_loss.total(terms), sum(expected.values()), rtol=1e-5)


def test_the_mean_per_image_needs_sizes_and_counts_the_own_part_alone():
  losses = task_config.Losses(semantic_average_per_image=True)
  with pytest.raises(InputError, match='image_sizes'):
    htc_loss.weighted_terms(make_outputs(), LABELS, losses, STAGES)
  labels = np.full([1, 16, 16], 255, np.uint8)
  labels[0, :8] = 0
  sizes = tf.constant([[8.0, 16.0]])
  terms = htc_loss.weighted_terms(make_outputs(), labels, losses, STAGES, sizes)
  np.testing.assert_allclose(terms['semantic_loss'], 0.2 * np.log(4), rtol=1e-5)
  of_batch = htc_loss.weighted_terms(make_outputs(), labels, task_config.Losses(), STAGES, sizes)
  np.testing.assert_allclose(of_batch['semantic_loss'], 0.1 * np.log(4), rtol=1e-5)


@pytest.mark.parametrize('weight', WEIGHTS)
def test_each_weight_changes_only_its_terms(weight):
  base = task_config.Losses()
  doubled = dataclasses.replace(base, **{weight: 2 * getattr(base, weight)})
  before = htc_loss.weighted_terms(make_outputs(), LABELS, base, STAGES)
  after = htc_loss.weighted_terms(make_outputs(), LABELS, doubled, STAGES)
  kind = WEIGHTS[weight]
  for name, value in before.items():
    factor = 2 if name.removeprefix('stage0_').removeprefix('stage1_') == kind else 1
    np.testing.assert_allclose(after[name], factor * value, rtol=1e-6, err_msg=name)


def test_each_beta_applies_to_its_terms():
  losses = task_config.Losses(rpn_box_beta=1.0, box_beta=10.0)
  terms = htc_loss.weighted_terms(make_outputs(), LABELS, losses, STAGES)
  np.testing.assert_allclose(terms['rpn_box_loss'], 0.5 * 0.25 / 2, rtol=1e-5)
  np.testing.assert_allclose(terms['stage0_box_loss'], 0.05 * 25 / 2, rtol=1e-5)


@pytest.mark.parametrize('masks', [True, False])
@pytest.mark.parametrize('semantic', [True, False])
def test_disabled_branches_have_no_terms(masks, semantic):
  terms = htc_loss.weighted_terms(
    make_outputs(masks, semantic), LABELS if semantic else None, task_config.Losses(), STAGES
  )
  assert list(terms) == list(htc_loss.term_names(2, masks, semantic))
  assert any('mask' in name for name in terms) == masks
  assert ('semantic_loss' in terms) == semantic


def test_the_terms_of_an_assistant_are_added_with_their_weight():
  outputs = make_outputs()
  losses = task_config.Losses(assistant_weight=0.25)
  plain = htc_loss.weighted_terms(outputs, LABELS, losses, STAGES)
  terms = htc_loss.weighted_terms(outputs._replace(assistant=outputs), LABELS, losses, STAGES)
  assert list(terms) == htc_loss.with_assistant(list(plain))
  for name, value in plain.items():
    assert terms[name] == value and terms[f'assistant_{name}'] == 0.25 * value


@pytest.mark.parametrize('kind', ['smooth_l1', 'giou'])
def test_the_loss_on_boxes_is_of_the_configured_kind(kind):
  losses = task_config.Losses(box_kind=kind, box_weight=10.0)
  terms = htc_loss.weighted_terms(make_outputs(), LABELS, losses, STAGES)
  # Two boxes of 10x10 pixels overlap by a half; one of two RoIs is positive.
  expected = {'smooth_l1': 10 * 4.5 / 2, 'giou': 10 * (1 - 50 / 150) / 2}[kind]
  np.testing.assert_allclose(terms['stage0_box_loss'], expected, rtol=1e-5)
  np.testing.assert_allclose(
    terms['stage1_box_loss'], 0.5 * 10 * {'smooth_l1': 9.5, 'giou': 2 / 3}[kind] / 2, rtol=1e-5
  )


def test_accuracies_are_named_by_stage():
  outputs = make_outputs()
  correct = outputs.stages[0]._replace(logits=tf.constant([[[0.0, 1.0], [1.0, 0.0]]]))
  half_correct = correct._replace(logits=tf.constant([[[0.0, 1.0], [0.0, 1.0]]]))
  values = htc_loss.accuracies(outputs._replace(stages=(correct, half_correct)))
  assert {key: float(value) for key, value in values.items()} == {
    'stage0_accuracy': 1.0,
    'stage1_accuracy': 0.5,
  }


@pytest.mark.parametrize('decay_norm_and_bias,expected', [(True, 4 + 9 + 16), (False, 4)])
def test_weight_decay_by_hand(decay_norm_and_bias, expected):
  variables = [
    tf.Variable([2.0], name='conv/kernel'),
    tf.Variable([3.0], name='bn/gamma'),
    tf.Variable([4.0], name='fc/bias'),
  ]
  losses = task_config.Losses(l2_weight_decay=0.1, decay_norm_and_bias=decay_norm_and_bias)
  np.testing.assert_allclose(htc_loss.weight_decay(variables, losses), 0.05 * expected, rtol=1e-6)


def test_weight_decay_has_no_gradient():
  variable = tf.Variable([2.0, -3.0], name='kernel')
  with tf.GradientTape() as tape:
    loss = htc_loss.weight_decay([variable], task_config.Losses(l2_weight_decay=0.1))
  assert tape.gradient(loss, variable) is None


def test_added_weight_decay_equals_that_of_sgd():
  variables = [
    tf.Variable([2.0, -3.0], name='conv/kernel'),
    tf.Variable([4.0], name='bn/gamma'),
    tf.Variable([[1.0], [2.0]], name='embedding/kernel'),
    tf.Variable([5.0], name='fc/kernel'),
    tf.Variable([6.0], name='fc/bias'),
  ]
  rows = tf.IndexedSlices(tf.constant([[0.5]]), tf.constant([1]), tf.constant([2, 1]))
  gradients = [tf.constant([1.0, 1.0]), tf.constant([7.0]), rows, None, None]
  losses = task_config.Losses(l2_weight_decay=0.1, decay_norm_and_bias=False)
  sums = htc_loss.add_weight_decay(gradients, variables, losses, scale=0.5)
  for value, expected in zip(sums, ([1.1, 0.85], [7.0], [[0.05], [0.6]], [0.25])):
    np.testing.assert_allclose(value, expected, rtol=1e-6)
  assert sums[4] is None
  assert (
    htc_loss.add_weight_decay(gradients, variables, task_config.Losses(l2_weight_decay=0.0))
    == gradients
  )


@pytest.mark.parametrize('variables,decay', [([], 0.1), ([tf.Variable([1.0])], 0.0)])
def test_weight_decay_is_zero_without_variables_or_factor(variables, decay):
  assert htc_loss.weight_decay(variables, task_config.Losses(l2_weight_decay=decay)) == 0
