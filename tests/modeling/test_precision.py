"""Tests of training and detection in 16 bits, selected by `runtime.mixed_precision_dtype`."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.configs import task as task_config
from htc_tf.modeling.precision import BFLOAT16_FEATURES, computing_in, image_dtype
from htc_tf.tasks.htc import HTCTask, model_inputs
from tests import tiny, tiny_records

EXPERIMENTS = ('htc_resnet50fpn_1x_coco', 'mask_rcnn_resnet50fpn_1x_coco', 'htc_resnetfpn_coco')
SIXTEEN_BITS = ('bfloat16', 'float16', BFLOAT16_FEATURES)


@contextlib.contextmanager
def built(experiment, dtype, **runtime):
  """(task, model, optimizer, batch), built as by the trainer for a runtime configuration."""
  params = tiny_records.reduced(experiment, 'unused')
  params.override({'runtime': {'mixed_precision_dtype': dtype, **runtime}})
  with computing_in(dtype):
    tf_keras.utils.set_random_seed(0)
    task = HTCTask(task_config.HTCTask(model=params.task.model))
    model = task.build_model()
    optimizer = task.create_optimizer(params.trainer.optimizer_config, params.runtime)
    images, labels = tiny.batch(params.task.model, size=params.task.model.input_size[0])
    yield task, model, optimizer, (tf.cast(images, image_dtype(dtype)), labels)


def test_the_policy_is_restored_after_computing_in():
  before = tf_keras.mixed_precision.global_policy().name

  def fail_in_bfloat16():
    with computing_in('bfloat16'):
      assert tf_keras.mixed_precision.global_policy().name == 'mixed_bfloat16'
      raise KeyError

  with pytest.raises(KeyError):
    fail_in_bfloat16()
  assert tf_keras.mixed_precision.global_policy().name == before
  with computing_in(None):
    assert tf_keras.mixed_precision.global_policy().name == 'float32'


@pytest.mark.parametrize(
  'experiment,dtype',
  [
    # Each of the first two in one of the types or two; the others take minutes.
    pytest.param(
      experiment, dtype, marks=[] if row < 2 and (row + column) % 2 else [pytest.mark.slow]
    )
    for row, experiment in enumerate(EXPERIMENTS)
    for column, dtype in enumerate(SIXTEEN_BITS)
  ],
)
def test_models_in_16_bits_train_and_detect(experiment, dtype):
  with built(experiment, dtype) as (task, model, optimizer, batch):
    assert all(variable.dtype == tf.float32 for variable in model.trainable_variables)
    before = [variable.numpy() for variable in model.trainable_variables]
    step = tf.function(lambda: task.train_step(batch, model, optimizer), autograph=False)
    for _ in range(3):
      assert np.isfinite(step()[task.loss])
    values = [variable.numpy() for variable in model.variables]
    assert all(np.isfinite(value).all() for value in values)
    if dtype == 'bfloat16':
      changed = [np.any(old != new) for old, new in zip(before, model.trainable_variables)]
      assert np.mean(changed) > 0.6  # Not all, because residual blocks start as identities.
    outputs = model(model_inputs(*batch), training=False)
    assert outputs.boxes.dtype == outputs.scores.dtype == tf.float32
    assert outputs.masks.dtype == tf.float32
    assert all(np.isfinite(value).all() for value in outputs)
    assert min(outputs.num_detections) > 0


def test_a_precision_for_features_keeps_boxes_and_scores_in_float32():
  for dtype, of_boxes in ((BFLOAT16_FEATURES, 'float32'), ('bfloat16', 'bfloat16')):
    with computing_in(dtype):
      model = tiny.build(tiny.model(), seed=2)
    for stage in model.cascade.stages:
      assert stage.box_head.compute_dtype == stage.box_head._fcs[0].compute_dtype == of_boxes
      assert stage.mask_head.compute_dtype == 'bfloat16'
    assert model.rpn_head._conv.compute_dtype == of_boxes
    assert model.semantic_head.compute_dtype == 'bfloat16'
    assert all(variable.dtype == tf.float32 for variable in model.trainable_variables)
    images, labels = tiny.batch()
    features, _ = model.extract(model_inputs(images, labels), training=False)
    assert {x.dtype for x in features.pyramid.values()} == {tf.bfloat16}
    outputs = model(model_inputs(images, labels), training=False)
    assert outputs.boxes.dtype == outputs.scores.dtype == outputs.masks.dtype == tf.float32


def test_model_gardens_rpn_head_follows_the_precision_of_boxes():
  params = tiny_records.reduced('htc_resnetfpn_coco', 'unused')
  with computing_in(BFLOAT16_FEATURES):
    model = HTCTask(task_config.HTCTask(model=params.task.model)).build_model()
  layers = [layer for layer in model.rpn_head._flatten_layers() if layer.weights]
  assert len(layers) > 3 and {layer.compute_dtype for layer in layers} == {'float32'}


@pytest.mark.parametrize('dtype', ['float32', *SIXTEEN_BITS])
def test_logits_boxes_and_losses_are_float32(dtype):
  with built('htc_resnet50fpn_1x_coco', dtype) as (task, model, _, (images, labels)):
    outputs = model(model_inputs(images, labels), training=True)
    assert outputs.rpn_logits.dtype == outputs.rpn_deltas.dtype == tf.float32
    for stage in outputs.stages:
      floats = (stage.logits, stage.deltas, stage.rois.boxes, stage.masks.logits)
      assert {value.dtype for value in floats} == {tf.float32}
    terms = task.build_losses(outputs, labels, model.trainable_variables)
    assert {value.dtype for value in terms.values()} == {tf.float32}
    # Values computed in 16 bits and then cast would all be equal to their rounded versions.
    rounded = tf.cast(tf.cast(outputs.rpn_deltas, image_dtype(dtype)), tf.float32)
    assert np.mean(rounded == outputs.rpn_deltas) < 0.9 or dtype == 'float32'


@pytest.mark.parametrize('dtype,tolerance', [('bfloat16', 0.1), ('float16', 0.02)])
def test_losses_in_16_bits_are_near_those_in_float32(dtype, tolerance):
  losses = {}
  for name in ('float32', dtype):
    with built('htc_resnet50fpn_1x_coco', name) as (task, model, _, (images, labels)):
      for stage in model.cascade.stages:
        stage.assigner._rule = 'even'
      model.rpn.anchor_assigner._rule = 'even'
      outputs = model(model_inputs(images, labels), training=True)
      losses[name] = task.build_losses(outputs, labels, model.trainable_variables)
  for key in ('rpn_class_loss', 'semantic_loss', 'stage0_class_loss'):
    np.testing.assert_allclose(losses[dtype][key], losses['float32'][key], rtol=tolerance)


@pytest.mark.parametrize('loss_scale', [None, 'dynamic', 128.0])
def test_the_loss_is_scaled_under_float16(loss_scale):
  with built('htc_resnet50fpn_1x_coco', 'float16', loss_scale=loss_scale) as (
    task,
    model,
    optimizer,
    batch,
  ):
    assert isinstance(optimizer, tf_keras.mixed_precision.LossScaleOptimizer)
    assert optimizer.dynamic == (loss_scale != 128.0)
    assert optimizer.dynamic or optimizer.loss_scale == 128.0
    task.train_step(batch, model, optimizer)


def test_a_step_with_an_infinite_gradient_is_skipped():
  with built('htc_resnet50fpn_1x_coco', 'float16') as (task, model, _, batch):
    optimizer = tf_keras.mixed_precision.LossScaleOptimizer(
      tf_keras.optimizers.legacy.SGD(0.01), initial_scale=2.0**120
    )
    before = model.get_weights()
    logs = tf.function(lambda: task.train_step(batch, model, optimizer), autograph=False)()
    assert np.isfinite(logs[task.loss])
    for old, new in zip(before, model.get_weights()):
      np.testing.assert_array_equal(old, new)
    assert optimizer.loss_scale == 2.0**119
