"""Steps compiled for static frames, alone and in training."""

import numpy as np
from official.modeling import optimization
import pytest
import tensorflow as tf

from htc_tf.configs import task as task_config
from htc_tf.tasks.compiled_step import run_compiled
from tests import tiny

FRAMES = ((64, 96), (96, 64))


def _batch(height, width):
  """Images and masks of which each pixel counts once."""
  return tf.ones([2, height, width, 3]), {
      'gt_masks': tf.ones([2, 5, height, width // 8], tf.uint8),
      'gt_semantic': tf.ones([2, height, width], tf.uint8), 'source_id': tf.constant([7, 8])}


def _count(batch):
  images, labels = batch
  assert images.shape.is_fully_defined() and labels['gt_masks'].shape.is_fully_defined()
  return {'images': tf.reduce_sum(images), 'masks': tf.reduce_sum(tf.cast(labels['gt_masks'],
                                                                          tf.int32)),
          'height': tf.constant(images.shape[1])}


def _outer(frames):
  """As in training: the frame is not known when the step is traced."""
  spec = (tf.TensorSpec([2, None, None, 3]), {
      'gt_masks': tf.TensorSpec([2, 5, None, None], tf.uint8),
      'gt_semantic': tf.TensorSpec([2, None, None], tf.uint8),
      'source_id': tf.TensorSpec([2], tf.int32)})
  return tf.function(lambda *batch: run_compiled(_count, batch, frames), input_signature=spec)


@pytest.mark.parametrize('frames', [FRAMES, FRAMES[:1]])
def test_every_frame_has_its_program(frames):
  run = _outer(frames)
  for height, width in frames:
    result = run(*_batch(height, width))
    assert result['height'] == height
    assert result['images'] == 2 * height * width * 3
    assert result['masks'] == 2 * 5 * height * width // 8


@pytest.mark.parametrize('frames', [FRAMES, FRAMES[:1]])
def test_another_size_is_an_error(frames):
  with pytest.raises(tf.errors.InvalidArgumentError):
    _outer(frames)(*_batch(64, 64))


@pytest.mark.slow
def test_a_compiled_training_step_makes_the_same_update():
  config = tiny.model(num_stages=1, cascade={'sampling_rule': 'even'})
  images, labels = tiny.batch(config)
  frames = [task_config.Frame(height=images.shape[1], width=images.shape[2])]
  results = []
  for jit_compile in (False, True):
    task = tiny.task(config, jit_compile=jit_compile, train_data=task_config.DataConfig(
        is_training=True, parser=task_config.Parser(frames=frames)))
    model = tiny.build(config)
    optimizer = optimization.OptimizerFactory(optimization.OptimizationConfig({
        'optimizer': {'type': 'sgd', 'sgd': {'momentum': 0.9}},
        'learning_rate': {'type': 'constant', 'constant': {'learning_rate': 0.01}},
    })).build_optimizer(0.01)
    metrics = task.build_metrics()
    step = tf.function(lambda: task.train_step((images, labels), model, optimizer, metrics))  # pylint: disable=cell-var-from-loop
    logs = step()
    results.append((float(logs[task.loss]), [metric.result().numpy() for metric in metrics],
                    [variable.numpy() for variable in model.trainable_variables]))
  (loss, means, variables), (compiled_loss, compiled_means, compiled_variables) = results
  np.testing.assert_allclose(compiled_loss, loss, rtol=1e-5)
  np.testing.assert_allclose(compiled_means, means, rtol=1e-4, atol=1e-6)
  for variable, compiled in zip(variables, compiled_variables):
    np.testing.assert_allclose(compiled, variable, rtol=1e-4, atol=1e-6)
