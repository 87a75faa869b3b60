"""Tests of each family of published models: 16 bits, XLA, and views of an image.

docs/families.md is the table of what these tests and those in tests/serving/test_families.py show.
"""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.multi_view import Fusion, detect_views
from htc_tf.modeling.precision import computing_in, image_dtype
from htc_tf.modeling.views import View
from htc_tf.tasks.htc import HTCTask, model_inputs
from tests import families, tiny

fewer_blocks = families.fewer_blocks
pytestmark = pytest.mark.usefixtures('fewer_blocks')
# The others have quick tests in 16 bits elsewhere, or differ from these in their heads only.
_QUICK = {
  ('SCNet', 'float16'),
  ('CBNetV2 DB-Swin, 4conv1fc', 'bfloat16'),
}


def _slow(*arguments):
  return pytest.param(*arguments, marks=pytest.mark.slow)


@pytest.mark.parametrize(
  'name,dtype',
  [
    (name, dtype) if (name, dtype) in _QUICK else _slow(name, dtype)
    for name in families.FAMILIES
    for dtype in ('bfloat16', 'float16')
  ],
)
def test_a_family_trains_and_detects_in_16_bits(name, dtype):
  with computing_in(dtype):
    params, model = families.build(name)
  task = HTCTask(params.task)
  params.runtime.override({'mixed_precision_dtype': dtype, 'loss_scale': 1.0})
  optimizer = task.create_optimizer(params.trainer.optimizer_config, params.runtime)
  images, labels = tiny.batch(params.task.model)
  batch = (tf.cast(images, image_dtype(dtype)), labels)
  before = [variable.numpy() for variable in model.trainable_variables]
  assert np.isfinite(task.train_step(batch, model, optimizer)[task.loss])
  assert all(np.isfinite(variable).all() for variable in model.variables)
  changed = [np.any(old != new) for old, new in zip(before, model.trainable_variables)]
  assert np.mean(changed) > 0.6  # Not all: some variables start without an effect.
  outputs = model(model_inputs(*batch), training=False)
  assert outputs.boxes.dtype == outputs.scores.dtype == outputs.masks.dtype == tf.float32
  assert all(np.isfinite(value).all() for value in outputs)
  assert min(outputs.num_detections) > 0


def _with_few_stages(name, seed=0, **overrides):
  """(configuration of the task, model) of a family."""
  config = families.params_of_few_stages(name).task
  config.model.override(overrides)
  return config, tiny.build(config.model, seed=seed)


def _differing_gradients(name, seed):
  """Names of variables whose gradient differs under XLA, after a check of the losses."""
  config, model = _with_few_stages(name, seed, cascade={'sampling_rule': 'even'})
  task = HTCTask(config)
  images, labels = tiny.batch(config.model)
  (expected, gradients), (actual, compiled) = tiny.plain_and_compiled_step(
    task, model, images, labels
  )
  for term, loss in expected.items():
    np.testing.assert_allclose(actual[term], loss, rtol=1e-4, atol=1e-7, err_msg=term)
  largest = max(float(tf.norm(gradient)) for gradient in gradients)
  return [
    variable.name
    for variable, gradient, other in zip(model.trainable_variables, gradients, compiled)
    if tf.norm(gradient - other) > 1e-3 * tf.norm(gradient) + 1e-6 * largest
  ]


@pytest.mark.slow
@pytest.mark.parametrize('name', families.FAMILIES)
def test_compiled_losses_and_gradients_of_a_family_are_the_same(name):
  # With some weights and on some CPUs, an input of a ReLU is so near to 0 that rounding moves it to
  # the other side. A fault changes the gradients with any weights.
  differing = _differing_gradients(name, 0) and _differing_gradients(name, 1)
  assert not differing


@pytest.mark.slow
@pytest.mark.parametrize('name', families.FAMILIES)
def test_a_mirrored_image_gives_mirrored_detections_of_a_family(name):
  """The views of an image and of its mirror image are the same, in the other order."""
  config, model = _with_few_stages(name)
  images, _ = tiny.batch(config.model)
  sides = tf.constant([[64.0, 64.0]] * 2)
  view = View(images, sides, tf.ones([2, 2]))
  small = View(tf.image.resize(images, [32, 32]), sides / 2, tf.fill([2, 2], 0.5))
  swapped = [each.mirrored()._replace(is_mirrored=False) for each in (view, small)]
  found, again = (
    detect_views(
      model, [wide, wide.mirrored(), narrow, narrow.mirrored()], Fusion(num_proposals=20)
    )
    for wide, narrow in ((view, small), swapped)
  )
  assert min(found.num_detections) > 0
  np.testing.assert_array_equal(found.num_detections, again.num_detections)
  np.testing.assert_array_equal(found.classes, again.classes)
  np.testing.assert_allclose(found.scores, again.scores, atol=1e-4)
  for row, count in enumerate(found.num_detections):
    ymin, xmin, ymax, xmax = np.transpose(again.boxes[row, :count])
    mirrored = np.stack([ymin, 64 - xmax, ymax, 64 - xmin], axis=-1)
    np.testing.assert_allclose(found.boxes[row, :count], mirrored, atol=1e-2)
