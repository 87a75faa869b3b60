"""Tests of the graph of plain operations against the predictor."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.data.padding import padding_rule
from htc_tf.errors import InputError
from htc_tf.modeling.ensemble import Member
from htc_tf.modeling.multi_view import Fusion
from htc_tf.modeling.precision import computing_in
from htc_tf.ops import plain
from htc_tf.serving import frame
from htc_tf.serving.frame_graph import FrameGraph
from htc_tf.serving.predictor import HTCPredictor, InputRule
from tests import tiny
from tests.graph_operations import operation_types
from tests.serving import frame_models

# Parts of names of operations that only TensorFlow has.
_NOT_PLAIN = (
  'NonMaxSuppression',
  'Ragged',
  'Sparse',
  'CSR',
  'PyFunc',
  'String',
  'Decode',
  'Xla',
  'Unique',
  'PartitionedCall',
  'Erfc',
)


_SLOW_LAYOUTS = ('two stages without masks', 'one stage on HRNet')


def _run(graph):
  return lambda inputs: graph.detect(**{name: tf.constant(x) for name, x in inputs.items()})


@pytest.mark.parametrize(
  'layout',
  [
    pytest.param(name, marks=[pytest.mark.slow] if name in _SLOW_LAYOUTS else [])
    for name in frame_models.LAYOUTS
  ],
)
def test_detections_are_those_of_the_predictor(layout):
  num_stages, changes = frame_models.LAYOUTS[layout]
  predictor = frame_models.predictor(num_stages, **changes)
  graph = frame_models.graph(predictor)
  for size in ((64, 96), (90, 120), (200, 30)):
    pixels = frame_models.image(*size)
    assert frame_models.check_equal(_run(graph), predictor, graph.rule, pixels) > 0


@pytest.mark.parametrize(
  'changes',
  [
    {},
    {'include_mask': False},
    {'backbone': {'published_resnet': {'model_id': 50, 'groups': 2, 'deformable_stages': [4]}}},
    {'detection_generator': {'nms': 'gaussian', 'class_agnostic_nms': True}},
    {'backbone': tiny.COMPOSITE_SWIN},
  ],
  ids=['masks', 'boxes', 'backbone', 'soft', 'swin'],
)
def test_the_graph_holds_plain_operations_only(changes):
  graph = frame_models.graph(frame_models.predictor(1, **changes))
  types = operation_types(graph.detect.get_concrete_function())
  assert not [name for name in types if any(part in name for part in _NOT_PLAIN)]


def test_the_graph_of_the_predictor_holds_other_operations():
  predictor = frame_models.predictor()
  graph = tf.function(predictor.call, autograph=False).get_concrete_function(
    tf.TensorSpec([1, 64, 96, 3], tf.uint8)
  )
  types = operation_types(graph)
  assert {'CombinedNonMaxSuppression', 'SparseMatrixMatMul'} <= types


def test_pixels_outside_the_image_have_no_effect():
  predictor = frame_models.predictor()
  graph = frame_models.graph(predictor)
  placed = frame.place(frame_models.image(50, 60), graph.rule)
  filled = placed.images.copy()
  height, width = placed.image_shape[0].astype(int)
  filled[:, height:] = 255
  filled[:, :, width:] = 200
  assert not np.array_equal(filled, placed.images)
  for name, values in graph.detect(placed.images, placed.image_shape).items():
    np.testing.assert_array_equal(
      values, graph.detect(filled, placed.image_shape)[name], err_msg=name
    )


def test_an_image_without_detections_has_rows_of_zeros():
  predictor = frame_models.predictor(detection_generator={'score_threshold': 0.9999})
  graph = frame_models.graph(predictor)
  pixels = frame_models.image(64, 96)
  assert frame_models.check_equal(_run(graph), predictor, graph.rule, pixels) == 0


def test_images_of_16_bits_and_other_channels_are_read():
  rule = InputRule(48, 96, padding_rule([(64, 96)], (64, 96)))
  rule = rule._replace(
    sample_format=rule.sample_format._replace(num_channels=2, bits=16),
    normalization=rule.normalization._replace(mean=(9e3, 8e3), stddev=(4e3, 5e3)),
  )
  config = tiny.model(
    1, input_size=[64, 64, 2], pixels={'bits': 16, 'mean': [9e3, 8e3], 'stddev': [4e3, 5e3]}
  )
  predictor = HTCPredictor([Member(tiny.build(config))], [rule])
  graph = FrameGraph(predictor, 64, 96)
  pixels = np.random.default_rng(0).integers(0, 20000, [40, 70, 2]).astype(np.uint16)
  assert frame_models.check_equal(_run(graph), predictor, graph.rule, pixels) > 0


def test_frames_that_the_model_cannot_read_are_rejected():
  with pytest.raises(InputError, match=r'multiples of 32.*Got: 1 images of 60x96'):
    FrameGraph(frame_models.predictor(), 60, 96)


def test_graphs_with_operations_of_tensorflow_alone_are_rejected(monkeypatch):
  predictor = frame_models.predictor()
  monkeypatch.setattr(plain, 'required', lambda: False)
  with pytest.raises(InputError, match=r'plain operations.*Got: CombinedNonMaxSuppression.*Sparse'):
    frame_models.graph(predictor)


def test_parts_of_model_garden_are_plain():
  parts = {**tiny.MODEL_GARDEN_PARTS['roi_generator'], 'type': 'model_garden'}
  predictor = frame_models.predictor(1, roi_generator=parts, input_size=[64, 96, 3])
  graph = frame_models.graph(predictor)
  pixels = frame_models.image(64, 96)
  assert frame_models.check_equal(_run(graph), predictor, graph.rule, pixels) > 0


def test_several_models_or_views_are_rejected():
  single = frame_models.predictor()
  member, rule = single.members[0], single.input_rules[0]
  mirrored = member._replace(mirrors=True)
  ranges = member._replace(fusion=Fusion(area_ranges=((0.0, 9.0),)))
  for members, rules, message in (
    ([member, member], [rule, rule], r'2 model\(s\)'),
    ([member], [rule, rule], r'2 scale\(s\)'),
    ([mirrored], [rule], 'mirrored views'),
    ([ranges], [rule], 'area ranges'),
  ):
    with pytest.raises(InputError, match=message):
      frame_models.graph(HTCPredictor(members, rules))


def test_models_that_compute_in_16_bits_are_rejected():
  with computing_in('bfloat16'):
    predictor = frame_models.predictor()
  with pytest.raises(InputError, match=r'float32.*Got: .*bfloat16'):
    frame_models.graph(predictor)
