"""Tests that graphs for a GPU hold only operations with a GPU kernel.

Data would be copied to the host and back for any other operation, in every step.
"""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.modeling import ensemble
from htc_tf.modeling.ensemble import Joining, Member
from htc_tf.modeling.multi_view import Fusion
from htc_tf.ops import placement
from tests import gpu_kernels, tiny
from tests.graph_operations import operation_types

VARIANTS = {
  'published': {},
  'soft': {'detection_generator': {'nms': 'gaussian'}},
  'across classes': {'detection_generator': {'class_agnostic_nms': True}},
  'without masks': {'include_mask': False},
}


def _traced(run, *inputs, gpu=True):
  with placement.tracing_for(gpu):
    return tf.function(run, autograph=False).get_concrete_function(*inputs)


def test_operations_without_a_kernel_are_found():
  def run(x):
    ragged = tf.RaggedTensor.from_row_lengths(x, [1, 2], validate=False)
    return tf.gather(ragged, [1]).values, tf.numpy_function(lambda y: y, [x], tf.float32)

  found = gpu_kernels.without_kernel(_traced(run, tf.zeros([3])))
  assert found == {'RaggedGather': 1, 'PyFunc': 1}
  assert 'StringFormat' in gpu_kernels.without_kernel(
    _traced(lambda x: tf.cond(x > 0, lambda: tf.strings.format('{}', x), lambda: ''), tf.zeros([]))
  )


@pytest.mark.parametrize('dynamic', [False, True])
@pytest.mark.parametrize('variant', VARIANTS)
def test_detection(variant, dynamic):
  model = tiny.build(tiny.model(**VARIANTS[variant]))
  images, _ = tiny.batch(tiny.model(**VARIANTS[variant]))
  shape = [None, None, None, 3] if dynamic else images.shape
  inputs = {'images': tf.TensorSpec(shape), 'image_shape': tf.TensorSpec([shape[0], 2])}
  detect = _traced(lambda inputs: model.detect(inputs).to_dict(), inputs)
  assert not gpu_kernels.without_kernel(detect)
  assert 'SparseMatrixMatMul' in operation_types(detect)
  # On a CPU, its own kernel is faster.
  if variant in ('published', 'without masks'):
    on_cpu = _traced(lambda inputs: model.detect(inputs).to_dict(), inputs, gpu=False)
    assert gpu_kernels.without_kernel(on_cpu) == {'CombinedNonMaxSuppression': 2}


@pytest.mark.parametrize('level', ensemble.LEVELS)
def test_detection_of_several_models_in_several_views(level):
  models = [tiny.build(tiny.model(num_stages=1), seed) for seed in (0, 1)]
  members = [Member(model, 1, True, Fusion(num_proposals=20)) for model in models]
  specs = [(tf.TensorSpec([1, 64, 64, 3]), tf.TensorSpec([1, 4, 2]))] * 2
  detect = _traced(
    lambda prepared: ensemble.detect_members(members, prepared, Joining(level)).to_dict(), specs
  )
  assert not gpu_kernels.without_kernel(detect)


@pytest.mark.parametrize('skips', [False, True])
def test_a_training_step(skips):
  task = tiny.task(skip_non_finite_steps=skips)
  config = task.task_config.model
  model = tiny.build(config)
  images, labels = tiny.batch(config)
  optimizer = tf_keras.optimizers.legacy.SGD(0.01, momentum=0.9)
  metrics = task.build_metrics()
  step = _traced(
    lambda images, labels: task.train_step((images, labels), model, optimizer, metrics),
    images,
    labels,
  )
  assert not gpu_kernels.without_kernel(step)


def test_detections_are_those_of_the_cpu():
  model = tiny.build(tiny.model(detection_generator={'score_threshold': 0.0}), seed=2)
  images, labels = tiny.batch(tiny.model())
  inputs = {'images': images, 'image_shape': labels['image_info'][:, 1]}
  found, expected = (
    _traced(lambda inputs: model.detect(inputs).to_dict(), inputs, gpu=gpu)(inputs)
    for gpu in (True, False)
  )
  assert np.min(expected['num_detections']) > 5
  np.testing.assert_array_equal(found['num_detections'], expected['num_detections'])
  np.testing.assert_array_equal(found['detection_classes'], expected['detection_classes'])
  for key in ('detection_boxes', 'detection_scores', 'detection_masks'):
    np.testing.assert_allclose(found[key], expected[key], atol=1e-4)
