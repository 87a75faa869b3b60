"""Tests of whole models with group norms in FPN, box heads and mask heads."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.precision import computing_in, image_dtype
from htc_tf.tasks import htc
from tests import tiny, tiny_records

OVERRIDES = {
  'box_head': {'num_convs': 1, 'num_fcs': 1, 'conv_filters': 8, 'norm_groups': 4},
  'mask_head': {'norm_groups': 4},
  'decoder': {'published_fpn': {'norm_groups': 4}},
}


@pytest.mark.parametrize('num_stages,has_semantic', [(1, False), (2, True), (3, False), (3, True)])
def test_a_training_step_has_finite_losses_and_reaches_every_norm(num_stages, has_semantic):
  config = tiny.model(num_stages, **OVERRIDES)
  config.semantic_head.enabled = has_semantic
  task, model = tiny.task(config), tiny.build(config)
  images, labels = tiny.batch(config)
  with tf.GradientTape() as tape:
    outputs = model(htc.model_inputs(images, labels), training=True)
    total = task.build_losses(outputs, labels, model.trainable_variables)['total_loss']
  norms = [v for v in model.trainable_variables if '/gn/' in v.name]
  gradients = tape.gradient(total, norms)
  assert np.isfinite(total)
  assert len(norms) == 2 * (8 + 2 * num_stages + num_stages - 1)
  # Without semantic branch, a level without sampled anchors and RoIs has no part in the loss.
  reached = [v.name for v, gradient in zip(norms, gradients) if np.any(gradient)]
  assert {v.name for v in norms if has_semantic or 'head' in v.name} <= set(reached)
  info = labels['image_info']
  assert np.all(np.isfinite(model.detect({'images': images, 'image_shape': info[:, 1]}).boxes))


def test_a_step_and_detection_in_16_bits_are_finite():
  params = tiny_records.reduced('htc_resnet50fpn_1x_coco', 'unused')
  params.override({'task': {'model': OVERRIDES}, 'runtime': {'mixed_precision_dtype': 'bfloat16'}})
  with computing_in('bfloat16'):
    task = tiny.task(params.task.model)
    model = task.build_model()
    optimizer = task.create_optimizer(params.trainer.optimizer_config, params.runtime)
    images, labels = tiny.batch(params.task.model, size=params.task.model.input_size[0])
    images = tf.cast(images, image_dtype('bfloat16'))
    step = tf.function(lambda: task.train_step((images, labels), model, optimizer), autograph=False)
    assert np.isfinite(step()[task.loss])
    outputs = model(htc.model_inputs(images, labels), training=False)
  assert {variable.dtype for variable in model.trainable_variables} == {tf.float32}
  assert all(np.isfinite(value).all() for value in outputs)
