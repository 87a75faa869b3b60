"""Tests of a small complete model in every combination of its parts."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.configs import task as task_config
from htc_tf.errors import ConfigError, InputError
from htc_tf.losses import htc_loss
from htc_tf.modeling.backbones import published_resnet
from htc_tf.tasks.htc import model_inputs
from tests import tiny

NO_SEMANTIC = {'semantic_head': {'enabled': False}}
VARIANTS = {
  'htc': (3, {}),
  '1_stage': (1, {}),
  '2_stages_no_semantic': (2, NO_SEMANTIC),
  '5_stages': (5, {}),
  'no_semantic': (3, NO_SEMANTIC),
  'semantic_feeds_masks_only': (2, {'semantic_head': {'feeds_box': False}}),
  'semantic_feeds_boxes_only': (2, {'semantic_head': {'feeds_mask': False}}),
  'not_interleaved': (2, {'cascade': {'interleaved': False}}),
  'no_information_flow': (2, {'cascade': {'mask_information_flow': False}}),
  'box_only': (3, {'include_mask': False}),
  'box_only_no_semantic': (2, {'include_mask': False, **NO_SEMANTIC}),
  'res2net': (
    1,
    {
      'backbone': {
        'published_resnet': {
          'model_id': 50,
          'base_width': 26,
          'scales': 4,
          'deep_stem': True,
          'avg_down': True,
        }
      }
    },
  ),
  'detectors': (
    1,
    {
      'backbone': {
        'published_resnet': {
          'model_id': 50,
          'standardized': True,
          'switchable_stages': [4],
        }
      },
      'decoder': {
        'type': 'recursive_fpn',
        'recursive_fpn': {'num_filters': tiny.CHANNELS, 'aspp_filters': 2},
      },
    },
  ),
  'composite_swin': (
    1,
    {
      'backbone': tiny.COMPOSITE_SWIN,
      'box_head': {'num_convs': 1, 'conv_filters': 4},
    },
  ),
  'scnet': (
    2,
    {
      'cascade': {
        'interleaved': False,
        'mask_information_flow': False,
        'shared_mask': True,
        'feature_relay': True,
      },
      'mask_head': {'num_convs': 2, 'residual': True},
      'semantic_head': {'num_convs': 2, 'residual': True},
      'global_context': {'enabled': True, 'num_convs': 2},
    },
  ),
  'boxes_by_class': (2, {'box_head': {'class_agnostic': False}}),
  'last_mask': (3, {'detection_generator': {'mask_ensemble': 'last'}}),
}


def detection_inputs(images, labels):
  return {'images': images, 'image_shape': labels['image_info'][:, 1]}


def train_once(model, config, images, labels):
  """Loss terms, and pairs (variable, dense gradient or None), of one training step."""
  with tf.GradientTape() as tape:
    outputs = model(model_inputs(images, labels), training=True)
    terms = htc_loss.weighted_terms(
      outputs, labels.get('gt_semantic'), task_config.Losses(), config.cascade.stages
    )
    loss = htc_loss.total(terms)
  variables = model.trainable_variables
  gradients = [
    gradient if gradient is None else tf.convert_to_tensor(gradient).numpy()
    for gradient in tape.gradient(loss, variables)
  ]
  return terms, list(zip(variables, gradients))


def assert_outputs_are_as_documented(outputs, config, num_images):
  rows, size = config.detection_generator.max_detections, 2 * config.mask_head.crop_size
  expected = {
    'detection_boxes': ([rows, 4], tf.float32),
    'detection_scores': ([rows], tf.float32),
    'detection_classes': ([rows], tf.int32),
    'num_detections': ([], tf.int32),
  }
  if config.include_mask:
    expected['detection_masks'] = ([rows, size, size], tf.float32)
  assert set(outputs) == set(expected)
  for key, (shape, dtype) in expected.items():
    assert outputs[key].shape == [num_images, *shape]
    assert outputs[key].dtype == dtype


@pytest.mark.parametrize('variant', VARIANTS)
def test_trains_predicts_saves_and_loads(variant, tmp_path, monkeypatch):
  monkeypatch.setitem(published_resnet.SPECS, 50, (True, (1, 1, 1, 1)))  # Fewer blocks, less time.
  num_stages, overrides = VARIANTS[variant]
  config = tiny.model(num_stages, **overrides)
  model = tiny.build(config)
  images, labels = tiny.batch(config)

  terms, gradients = train_once(model, config, images, labels)
  names = htc_loss.term_names(
    num_stages,
    config.include_mask,
    config.semantic_head.enabled,
    config.global_context.enabled,
    config.cascade.shared_mask,
  )
  assert list(terms) == (htc_loss.with_assistant(names) if config.has_assistant else names)
  assert all(np.isfinite(term) and term > 0 for term in terms.values()), terms
  disconnected = [variable.name for variable, gradient in gradients if gradient is None]
  assert not disconnected
  assert all(np.isfinite(gradient).all() for _, gradient in gradients)
  # No anchor of a coarse level is inside this small image, so fpn_convs may have zero gradients.
  untrained = [
    variable.name
    for variable, gradient in gradients
    if not np.any(gradient) and 'fpn_convs' not in variable.name
  ]
  assert not untrained

  inputs = detection_inputs(images, labels)
  outputs = model(inputs, training=False).to_dict()
  assert_outputs_are_as_documented(outputs, config, num_images=2)
  assert min(outputs['num_detections']) > 0
  model.save_weights(str(tmp_path / 'weights'))
  other = tiny.build(config, seed=1)
  assert not np.allclose(other(inputs).scores, outputs['detection_scores'])
  other.load_weights(str(tmp_path / 'weights')).assert_consumed()
  for key, value in other(inputs).to_dict().items():
    np.testing.assert_array_equal(value, outputs[key], key)


def test_only_the_embedding_is_untrained_if_the_semantic_branch_feeds_no_heads():
  config = tiny.model(1, semantic_head={'feeds_box': False, 'feeds_mask': False})
  model = tiny.build(config)
  _, gradients = train_once(model, config, *tiny.batch(config))
  untrained = [variable.name for variable, gradient in gradients if not np.any(gradient)]
  layers = {name.split('/')[-2] for name in untrained if 'semantic_head' in name}
  assert layers == {'conv_embedding'}


@pytest.fixture(scope='module')
def htc():
  """(config, model, images, labels) of a small HTC in the published layout."""
  config = tiny.model()
  return config, tiny.build(config), *tiny.batch(config)


def test_padding_rows_of_detections_are_zero(htc):
  config, model, images, labels = htc
  inputs = detection_inputs(images, labels)
  generator = model.detection_generator
  scores = np.unique(model.detect(inputs).scores)
  with replaced(generator, '_score_threshold', float(scores[-2])):
    outputs = model.detect(inputs).to_dict()
  assert sorted(outputs['num_detections'].numpy()) == [0, 1]
  rows = np.arange(config.detection_generator.max_detections)
  padding = rows >= outputs['num_detections'].numpy()[:, np.newaxis]
  for key in ('detection_boxes', 'detection_scores', 'detection_classes', 'detection_masks'):
    assert not np.any(outputs[key].numpy()[padding]), key
    assert np.any(outputs[key].numpy()[~padding]), key


@contextlib.contextmanager
def replaced(layer, name, value):
  """Context in which a private attribute of a layer has another value."""
  before = getattr(layer, name)
  setattr(layer, name, value)
  try:
    yield
  finally:
    setattr(layer, name, before)


def test_detections_stay_inside_the_image(htc):
  _, model, images, _labels = htc
  shapes = tf.constant([[56.0, 60.0], [32.0, 20.0]])
  outputs = model.detect({'images': images, 'image_shape': shapes}).to_dict()
  boxes = outputs['detection_boxes'].numpy()
  assert boxes.min() >= 0
  assert np.all(boxes[..., 2:].max(1) <= shapes)
  assert np.all(boxes[1, :, 3].max() > 10)


def test_batch_of_two_equals_two_batches_of_one(htc):
  _, model, images, labels = htc
  inputs = detection_inputs(images, labels)
  together = model.detect(inputs).to_dict()
  for image in range(2):
    alone = model.detect({key: value[image : image + 1] for key, value in inputs.items()}).to_dict()
    for key, value in alone.items():
      np.testing.assert_allclose(value[0], together[key][image], rtol=1e-3, atol=1e-3, err_msg=key)


def test_graph_equals_eager(htc):
  _, model, images, labels = htc
  inputs = detection_inputs(images, labels)
  spec = {'images': tf.TensorSpec([None, None, None, 3]), 'image_shape': tf.TensorSpec([None, 2])}
  detect = tf.function(model.detect, input_signature=[spec], autograph=False)
  for size in (64, 96):  # One trace is used for every padded size.
    padded = {**inputs, 'images': tf.pad(images, [[0, 0], [0, size - 64], [0, 0], [0, 0]])}
    expected = model.detect(padded).to_dict()
    for key, value in detect(padded).to_dict().items():
      np.testing.assert_allclose(value, expected[key], rtol=1e-3, atol=1e-3, err_msg=key)
  assert detect.experimental_get_tracing_count() == 1


def test_keras_predict_equals_detect(htc):
  config, model, images, labels = htc
  inputs = detection_inputs(images, labels)
  outputs = model.predict(
    {key: value.numpy() for key, value in inputs.items()}, batch_size=1, verbose=0
  ).to_dict()
  assert_outputs_are_as_documented(tf.nest.map_structure(tf.constant, outputs), config, 2)
  expected = model.detect(inputs).to_dict()
  np.testing.assert_allclose(outputs['detection_scores'], expected['detection_scores'], atol=1e-3)


def test_images_without_ground_truth_can_be_trained_on(htc):
  config, model, *_ = htc
  images, labels = tiny.batch(config, num_instances=0)
  assert np.all(labels['gt_classes'] == -1)
  terms, gradients = train_once(model, config, images, labels)
  for name, term in terms.items():
    assert np.isfinite(term)
    assert (term == 0) == ('box_loss' in name or 'mask_loss' in name), name
  assert all(np.isfinite(gradient).all() for _, gradient in gradients if gradient is not None)


@pytest.mark.parametrize(
  'missing,training',
  [
    ('images', False),
    ('image_shape', False),
    ('gt_boxes', True),
    ('gt_classes', True),
    ('gt_masks', True),
  ],
)
def test_a_missing_input_is_named(htc, missing, training):
  _, model, images, labels = htc
  inputs = model_inputs(images, labels)
  del inputs[missing]
  with pytest.raises(InputError, match=f'no .*{missing}'):
    model(inputs, training=training)


def test_a_box_only_model_trains_without_masks():
  config = tiny.model(1, include_mask=False, **NO_SEMANTIC)
  images, labels = tiny.batch(config)
  assert 'gt_masks' not in labels
  outputs = tiny.build(config)(model_inputs(images, labels), training=True)
  assert outputs.stages[0].masks is None
  assert outputs.semantic_logits is None


def test_a_box_only_model_predicts_without_masks():
  config = tiny.model(1, include_mask=False, **NO_SEMANTIC)
  model = tiny.build(config)
  inputs = detection_inputs(*tiny.batch(config))
  outputs = model.predict({key: value.numpy() for key, value in inputs.items()}, verbose=0)
  assert outputs.masks is None and 'detection_masks' not in outputs.to_dict()
  np.testing.assert_allclose(outputs.scores, model.detect(inputs).scores, atol=1e-3)


@pytest.fixture
def bfloat16():
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  yield
  tf_keras.mixed_precision.set_global_policy('float32')


def share_rounded(values) -> float:
  """Share of the values that bfloat16 represents exactly; integers (clipped boxes) do not count."""
  values = np.asarray(values)
  values = values[values != np.round(values)]
  return np.mean(values == np.asarray(tf.cast(tf.cast(values, tf.bfloat16), tf.float32)))


def test_boxes_and_scores_are_float32_under_bfloat16(bfloat16):
  config = tiny.model()
  model = tiny.build(config)
  images, labels = tiny.batch(config)
  assert model.backbone(images)['2'].dtype == tf.bfloat16
  assert all(variable.dtype == tf.float32 for variable in model.trainable_variables)
  terms, gradients = train_once(model, config, images, labels)
  assert all(np.isfinite(term) for term in terms.values())
  assert all(gradient is not None and np.isfinite(gradient).all() for _, gradient in gradients)
  outputs = model(detection_inputs(images, labels), training=False).to_dict()
  assert_outputs_are_as_documented(outputs, config, num_images=2)
  assert share_rounded(outputs['detection_boxes']) < 0.2
  assert share_rounded(outputs['detection_scores']) < 0.2


def test_sampled_boxes_are_not_rounded_under_bfloat16(bfloat16):
  config = tiny.model(2)
  images, labels = tiny.batch(config)
  gt_boxes = tf.where(labels['gt_boxes'] < 0, -1.0, labels['gt_boxes'] + 0.337)
  model = tiny.build(config)
  outputs = model({**model_inputs(images, labels), 'gt_boxes': gt_boxes}, training=True)
  rows = set(map(tuple, gt_boxes.numpy().reshape(-1, 4)))
  for stage in outputs.stages:
    rois = tf.nest.map_structure(np.asarray, stage.rois)
    assert set(map(tuple, rois.matched_boxes[rois.positive])) <= rows
    assert share_rounded(rois.boxes[rois.valid & ~rois.is_gt]) < 0.2


def test_proposals_are_decoded_in_float32_under_bfloat16(bfloat16):
  config = tiny.model(1)
  model = tiny.build(config)
  deltas = {'2': tf.fill([1, 2, 2, 12], 0.1017)}
  logits = {'2': tf.reshape(tf.range(12.0), [1, 2, 2, 3])}
  anchors = {'2': tf.tile([[10.0, 10.0, 30.0, 30.0]], [12, 1])}
  best = model.rpn.roi_generator(deltas, logits, anchors, tf.constant([[64.0, 64.0]])).boxes[0, 0]
  half = 10 * np.exp(0.1017)
  center = 20 + 20 * 0.1017
  np.testing.assert_allclose(best, np.repeat([center - half, center + half], 2), rtol=1e-6)


def test_the_bfloat16_fixture_restores_the_policy():
  assert tf_keras.mixed_precision.global_policy().name == 'float32'


def test_a_backbone_with_another_stride_is_refused():
  model = tiny.build(tiny.model(1))
  backbone = model.backbone

  def halved(images, training):
    maps = backbone(images, training=training)
    return {**maps, '2': maps['2'][:, ::2, ::2]}

  model.backbone = halved
  with pytest.raises(ConfigError, match=r"'2': \(16, 16\).*64x64.*Got: .*'2': \(8, 8\)"):
    model.create_variables(64, 64)
