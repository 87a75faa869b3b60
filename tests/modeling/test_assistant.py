"""Tests of training on the features of both backbones of a composite."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.configs import task as task_config
from htc_tf.losses import htc_loss
from htc_tf.tasks.htc import model_inputs
from tests import tiny


@pytest.fixture(scope='module', name='training')
def _training():
  """(model, inputs, outputs, gradients by name of the losses of the lead and of the assistant)."""
  config = tiny.model(1, backbone=tiny.COMPOSITE_SWIN, cascade={'sampling_rule': 'even'})
  model = tiny.build(config)
  for variable in model.backbone.variables:
    if 'cb_linears' in variable.name:
      variable.assign(tf.random.stateless_normal(variable.shape, [1, 2]))
  images, labels = tiny.batch(config)
  inputs = model_inputs(images, labels)
  with tf.GradientTape(persistent=True) as tape:
    outputs = model(inputs, training=True)
    terms = htc_loss.weighted_terms(
      outputs, labels['gt_semantic'], task_config.Losses(), config.cascade.stages
    )
    losses = [
      tf.add_n([value for name, value in terms.items() if name.startswith('assistant_') == of_it])
      for of_it in (False, True)
    ]
  gradients = [
    {
      variable.name: gradient
      for variable, gradient in zip(
        model.trainable_variables, tape.gradient(loss, model.trainable_variables)
      )
    }
    for loss in losses
  ]
  return model, inputs, outputs, gradients


def test_each_output_is_computed_from_the_features_of_its_backbone(training):
  model, inputs, outputs, _ = training
  maps = model.backbone.maps_of_both(inputs['images'], training=True)
  for of_backbone, found in zip(maps, (outputs.assistant, outputs)):
    pyramid = model.decoder(of_backbone)
    logits, _ = model.rpn_head(pyramid)
    expected = [tf.reshape(logits[level], [2, -1]) for level in sorted(logits)]
    np.testing.assert_allclose(found.rpn_logits, tf.concat(expected, 1), atol=1e-5)
    semantic, _ = model.semantic_head(pyramid)
    np.testing.assert_allclose(found.semantic_logits, semantic, atol=1e-5)
  assert outputs.assistant.assistant is None


def test_both_train_the_stages_on_the_proposals_of_the_lead(training):
  _, _, outputs, _ = training
  # With the sampling rule 'even', the same proposals give the same RoIs.
  lead, assistant = outputs.stages[0].rois, outputs.assistant.stages[0].rois
  np.testing.assert_array_equal(lead.boxes, assistant.boxes)
  np.testing.assert_array_equal(lead.classes, assistant.classes)
  assert np.any(outputs.rpn_logits != outputs.assistant.rpn_logits)


def test_the_losses_of_the_assistant_train_its_backbone_and_the_shared_parts(training):
  lead, assistant = training[3]
  of_lead = {name for name in lead if 'cb_modules/1' in name or 'cb_linears' in name}
  assert of_lead and len(of_lead) < len(lead) / 2
  for name, gradient in assistant.items():
    assert (gradient is None) == (name in of_lead), name
  assert all(gradient is not None for gradient in lead.values())


def test_other_backbones_have_no_assistant():
  config = tiny.model(1)
  model = tiny.build(config)
  assert model(model_inputs(*tiny.batch(config)), training=True).assistant is None
  assert not config.has_assistant


def test_the_task_reports_every_term_of_both_backbones():
  config = tiny.model(1, backbone=tiny.COMPOSITE_SWIN)
  names = {metric.name for metric in tiny.task(config).build_metrics()}
  terms = htc_loss.term_names(1, include_mask=True, include_semantic=True)
  assert set(htc_loss.with_assistant(terms)) < names
  assert 'assistant_stage0_box_loss' in names
