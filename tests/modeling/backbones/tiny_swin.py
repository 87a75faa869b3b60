"""Small Swin transformers."""

import numpy as np
import tensorflow as tf
import tf_keras

from htc_tf.configs import features
from htc_tf.configs import model as model_config
from htc_tf.modeling.backbones.published_swin import build_published_swin
from tests import tiny


def build(policy='float32', **values):
  """A transformer, or a composite of two, with its initial weights."""
  config = model_config.HTC().backbone
  config.override(tiny.COMPOSITE_SWIN)
  config.published_swin.override({'composite': False, **values})
  assert isinstance(config.get(), features.PublishedSwin)
  tf_keras.utils.set_random_seed(0)
  tf_keras.mixed_precision.set_global_policy(policy)
  try:
    specs = tf_keras.layers.InputSpec(shape=[None, None, None, 3])
    model = build_published_swin(specs, config, model_config.HTC().norm_activation)
  finally:
    tf_keras.mixed_precision.set_global_policy('float32')
  return model


def randomized(policy='float32', **values):
  """A model of `build` whose branches all have an effect."""
  model = build(policy, **values)
  rng = np.random.default_rng(0)
  for variable in model.variables:
    if 'gamma' not in variable.name:
      variable.assign(rng.normal(0, 0.2, variable.shape))
  return model


def images(height=30, width=44, batch=2):
  """A batch of noise."""
  return tf.random.stateless_normal([batch, height, width, 3], [3, 4])


def gradients_of(model, batch):
  """Gradients of all trainable variables in training."""
  with tf.GradientTape() as tape:
    outputs = model(batch, training=True)
    loss = tf.add_n([tf.reduce_mean(tf.cast(x, tf.float32) ** 4) for x in outputs.values()])
  return tape.gradient(loss, model.trainable_variables)
