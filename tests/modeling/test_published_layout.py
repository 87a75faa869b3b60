"""Tests of the whole R50 model against values of the paper's code with the same weights."""

import numpy as np
import pytest
import tensorflow as tf
from official.core import exp_factory

from htc_tf import registry_imports  # noqa: F401
from htc_tf.modeling.outputs import ImageFeatures
from htc_tf.tasks.htc import HTCTask
from parity.extract import weights
from parity.pack import EXTRACT
from tests import published_weights
from tests.published_weights import background_first, channels_last, yx_order

MAPS = published_weights.load(EXTRACT / 'r50_maps.npz')
HEADS = published_weights.load(EXTRACT / 'r50_heads.npz')
DETECTIONS = published_weights.load(EXTRACT / 'r50_detections.npz')
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
PADDED_SIZE = (256, 320)
TOLERANCE = 5e-5  # relative to the largest reference value


def assert_near(actual, expected, tolerance=TOLERANCE):
  actual, expected = np.asarray(actual), np.asarray(expected)
  assert actual.shape == expected.shape
  np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.fixture(scope='module')
def model():
  """HTC R50 with the weights of the reference."""
  task = HTCTask(exp_factory.get_exp_config('htc_resnet50fpn_1x_coco').task)
  model = task.build_model()
  published_weights.fill(model, weights.mmdet_state_dict('htc_r50_fpn_1x_coco'))
  return model


@pytest.fixture(scope='module')
def inputs():
  rgb = MAPS['image0_bgr'][..., ::-1].astype(np.float32)
  pixels = (rgb - np.float32(MEAN)) / np.float32(STD)
  image = np.zeros([*PADDED_SIZE, 3], np.float32)
  image[: pixels.shape[0], : pixels.shape[1]] = pixels
  return {
    'images': tf.constant(image[np.newaxis]),
    'image_shape': tf.constant(MAPS['image_size_hw'][np.newaxis], tf.float32),
  }


@pytest.fixture(scope='module')
def maps(model, inputs):
  """Backbone and decoder maps, semantic logits and embedding of image 0."""
  backbone = model.backbone(inputs['images'])
  pyramid = model.decoder(backbone)
  return backbone, pyramid, *model.semantic_head(pyramid)


@pytest.fixture(scope='module')
def features(maps, inputs):
  return ImageFeatures(maps[1], maps[3], inputs['image_shape'])


def test_the_number_of_parameters_is_the_published_one(model):
  state = weights.mmdet_state_dict('htc_r50_fpn_1x_coco')
  count = sum(value.size for name, value in state.items() if 'num_batches_tracked' not in name)
  assert model.count_params() == count


@pytest.mark.parametrize('level', '2345')
def test_backbone_equals_the_reference(maps, level):
  assert_near(maps[0][level][0, ::4, ::4, ::4], channels_last(MAPS[f'C{level}_every4th']))


@pytest.mark.parametrize('level', '23456')
def test_decoder_equals_the_reference(maps, level):
  assert_near(maps[1][level][0, ::4, ::4, ::4], channels_last(MAPS[f'P{level}_every4th']))


@pytest.mark.parametrize('level', '23456')
def test_rpn_head_equals_the_reference(model, maps, level):
  logits, deltas = model.rpn_head(maps[1])
  assert_near(logits[level][0, ::4, ::4], channels_last(MAPS[f'rpn_logits_P{level}_every4th']))
  assert_near(
    deltas[level][0, ::4, ::4], yx_order(channels_last(MAPS[f'rpn_deltas_P{level}_every4th']))
  )


def test_semantic_head_equals_the_reference(maps):
  assert_near(maps[2][0, ::4, ::4, ::4], channels_last(MAPS['semantic_logits_every4th']))
  assert_near(maps[3][0, ::4, ::4, ::4], channels_last(MAPS['semantic_feature_every4th']))


@pytest.mark.parametrize('kind,step', [('box', 8), ('mask', 32)])
def test_roi_features_equal_the_reference(model, features, kind, step):
  name = {8: 'every8th', 32: 'every32nd'}[step]
  pyramid, semantic = (
    channels_last(HEADS[f'{kind}_feature_{part}_{name}']) for part in ('fpn', 'semantic')
  )
  layer = getattr(model.cascade, f'{kind}_features')
  rois = tf.constant(yx_order(HEADS['rois_image0']))[tf.newaxis]
  assert_near(layer(features, rois)[0, ..., ::step], pyramid + semantic)
  without_semantic = layer(features._replace(semantic=None), rois)
  assert_near(without_semantic[0, ..., ::step], pyramid)


@pytest.mark.parametrize('stage', range(3))
def test_box_head_equals_the_reference(model, stage):
  roi_features = channels_last(HEADS['box_head_input'])[np.newaxis]
  logits, deltas = model.cascade.stages[stage].box_head(roi_features)
  assert_near(logits[0], background_first(HEADS[f'stage{stage}_logits']))
  assert_near(deltas[0], yx_order(HEADS[f'stage{stage}_deltas']))


@pytest.mark.parametrize('stage', range(3))
def test_chain_of_mask_heads_equals_the_reference(model, stage):
  roi_features = tf.constant(channels_last(HEADS['mask_head_input']))
  feature = None
  for cascade_stage in model.cascade.stages[: stage + 1]:
    feature = cascade_stage.mask_head(roi_features, feature)
  expected = HEADS[f'stage{stage}_mask_logits_every10th_class']
  assert_near(_masks(model, stage, feature, range(0, 80, 10)), expected)


@pytest.mark.parametrize('stage', range(3))
def test_mask_head_without_information_flow_equals_the_reference(model, stage):
  roi_features = tf.constant(channels_last(HEADS['mask_head_input']))
  feature = model.cascade.stages[stage].mask_head(roi_features)
  expected = HEADS[f'stage{stage}_mask_logits_alone_first8_classes']
  assert_near(_masks(model, stage, feature, range(8)), expected)


def _masks(model, stage, feature, published_classes):
  """Mask logits [num_rois, classes, 28, 28]; published class k is class k + 1 here."""
  predictor = model.cascade.stages[stage].mask_predictor
  rows = len(feature)
  return np.stack([predictor(feature, np.full([rows], k + 1)) for k in published_classes], 1)


@pytest.fixture(scope='module')
def detections(model, inputs):
  return {
    key: value[0].numpy()
    for key, value in tf.function(model.detect, autograph=False)(inputs).to_dict().items()
  }


def _matched_rows(detections):
  """For each reference detection, the row of our detection with its class and box, or -1."""
  boxes, labels = yx_order(DETECTIONS['boxes']), DETECTIONS['labels'] + 1
  distance = np.abs(boxes[:, np.newaxis] - detections['detection_boxes']).max(-1)
  near = (distance < 0.1) & (labels[:, np.newaxis] == detections['detection_classes'])
  return np.where(near.any(1), near.argmax(1), -1)


def test_detections_equal_the_reference(detections):
  rows = _matched_rows(detections)
  assert np.mean(rows >= 0) >= 0.99
  scores = detections['detection_scores'][rows]
  assert np.abs(scores - DETECTIONS['scores'])[rows >= 0].max() < 1e-3


def test_detected_masks_are_the_mean_of_the_stages(detections):
  rows = _matched_rows(detections)[::10]
  masks, expected = detections['detection_masks'][rows], DETECTIONS['masks_mean_every10th']
  assert np.abs(masks - expected)[rows >= 0].max() < 2e-3
  assert np.abs(DETECTIONS['masks_last_every10th'] - expected).max() > 0.1
