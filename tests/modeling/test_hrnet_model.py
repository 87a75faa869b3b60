"""Tests of a whole HTC on HRNet: a training step, detection, and precision."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.vision.configs import retinanet
from official.vision.modeling import factory

from htc_tf.configs import features
from htc_tf.modeling.precision import BFLOAT16_FEATURES, computing_in, image_dtype
from htc_tf.tasks.htc import model_inputs
from htc_tf.tasks.running_statistics import RunningStatistics
from tests import tiny

TRAINED_NORMS = {
  **tiny.HRNET,
  'backbone': {
    **tiny.HRNET['backbone'],
    'published_hrnet': {**tiny.HRNET['backbone']['published_hrnet'], 'norm_eval': False},
  },
}


@pytest.mark.parametrize(
  'dtype',
  [
    'float32',
    'bfloat16',
    *(pytest.param(name, marks=pytest.mark.slow) for name in ('float16', BFLOAT16_FEATURES)),
  ],
)
def test_a_model_trains_and_detects(dtype):
  config = tiny.model(1, **TRAINED_NORMS)
  with computing_in(dtype):
    model, task = tiny.build(config), tiny.task(config)
  images, labels = tiny.batch(config)
  batch = (tf.cast(images, image_dtype(dtype)), labels)
  before = {variable.name: variable.numpy() for variable in model.trainable_variables}
  logs = task.train_step(batch, model, tf_keras.optimizers.legacy.SGD(0.01))
  assert np.isfinite(logs[task.loss])
  unchanged = {
    variable.name
    for variable in model.trainable_variables
    if not np.any(before[variable.name] != variable)
  }
  assert len(unchanged) < 0.2 * len(before), unchanged
  assert not [name for name in unchanged if name.startswith(('conv', 'transition', 'decoder'))]
  outputs = model(model_inputs(*batch), training=False)
  assert outputs.boxes.dtype == outputs.masks.dtype == tf.float32
  assert all(np.isfinite(value).all() for value in outputs)
  assert min(outputs.num_detections) > 0


def test_pictures_of_any_padded_size_are_read_by_one_graph():
  model = tiny.build(tiny.model(1, **tiny.HRNET))
  specs = {'images': tf.TensorSpec([1, None, None, 3]), 'image_shape': tf.TensorSpec([1, 2])}

  def run(inputs):
    features, _ = model.extract(inputs, training=False)
    return features.pyramid, model.detect(inputs).boxes

  graph = tf.function(run, input_signature=[specs], autograph=False)
  for height, width in ((32, 32), (96, 160), (320, 32)):
    image_shape = tf.constant([[height - 1, width - 2]], tf.float32)
    pyramid, boxes = graph({'images': tf.zeros([1, height, width, 3]), 'image_shape': image_shape})
    sizes = {level: tuple(x.shape[1:3]) for level, x in pyramid.items()}
    strides = {level: 2 ** int(level) for level in '23456'}
    assert sizes == {
      level: (max(height // stride, 1), max(width // stride, 1))
      for level, stride in strides.items()
    }
    assert np.isfinite(boxes).all()


def test_a_step_copies_exactly_the_statistics_that_its_forward_pass_changes():
  config = tiny.model(1, **TRAINED_NORMS)
  config.backbone.published_hrnet.frozen_stages = 1
  model = tiny.build(config)
  for variable in model.variables:
    if 'moving' in variable.name:  # Batch statistics that differ from every initial value.
      variable.assign(tf.random.stateless_uniform(variable.shape, [1, 2], 0.5, 1.5))
  before = [variable.numpy() for variable in model.variables]
  model(model_inputs(*tiny.batch(config)), training=True)
  changed = {v.ref() for v, old in zip(model.variables, before) if np.any(v.numpy() != old)}
  assert {v.ref() for v in RunningStatistics(model).variables} == changed
  assert len(changed) > 50


@pytest.mark.parametrize('parts', [('backbone',), ('decoder',)], ids=str)
def test_backbone_and_decoder_work_without_each_other(parts):
  config = tiny.model(1, **{part: tiny.HRNET[part] for part in parts})
  model = tiny.build(config)
  images, labels = tiny.batch(config)
  inputs = {'images': images, 'image_shape': labels['image_info'][:, 1]}
  assert min(model(inputs, training=False).num_detections) > 0


def test_a_retinanet_of_model_garden_is_built_of_them():
  config = retinanet.RetinaNet(backbone=features.Backbone(), decoder=features.Decoder())
  config.override({**tiny.HRNET, 'num_classes': 3, 'head': {'num_convs': 1, 'num_filters': 8}})
  images = tf_keras.layers.InputSpec(shape=[None, 64, 64, 3])
  outputs = factory.build_retinanet(images, config)(tf.zeros([1, 64, 64, 3]), training=True)
  sizes = {level: logits.shape[1] for level, logits in outputs['cls_outputs'].items()}
  assert sizes == {'3': 8, '4': 4, '5': 2, '6': 1, '7': 1}
