"""Tests of the count of multiply-accumulates in a graph against the count by names of weights."""

import math

import pytest
import tensorflow as tf

from benchmarks import gmac, graph_gmac
from htc_tf.convert import conversion, mmdet_names
from htc_tf.modeling.layers.deform_conv import DeformConv2D
from htc_tf.modeling.layers.padded_conv import PaddedConv2D
from tests import tiny


def counted(function, *shapes):
  """Multiply-accumulates of the graph of a function on inputs of the given shapes."""
  with graph_gmac._plain_convolutions():
    specs = [tf.TensorSpec(shape) for shape in shapes]
    graph = tf.function(function, autograph=False).get_concrete_function(*specs).graph
  return sum(map(graph_gmac._operation, graph_gmac._operations(graph)))


def test_a_model_agrees_with_the_count_by_names():
  config = tiny.model(num_classes=5)
  model = tiny.build(config)
  weights = conversion.published_weights(model, mmdet_names.MMDET)
  proposals = config.roi_generator.published.test_num_proposals
  detections = config.detection_generator.max_detections
  shapes = {name: values.shape for name, values in weights.items()}
  parts = gmac.by_part(shapes, (64, 96), proposals, detections)
  # Three laterals of the semantic branch are computed before their maps are enlarged.
  kernel = math.prod(shapes['roi_head.semantic_head.lateral_convs.0.conv.weight'])
  enlarged = sum(8 * 12 - size for size in (4 * 6, 2 * 3, 1 * 2))
  expected = sum(parts.values()) - kernel * enlarged / 1e9
  assert graph_gmac.count(model, (64, 96)) == pytest.approx(expected, rel=1e-9)


def test_a_grouped_convolution_counts_its_groups():
  layer = PaddedConv2D(8, 3, groups=4)
  assert counted(layer, [1, 6, 6, 8]) == 36 * 8 * 9 * 2


def test_a_deformable_convolution_counts_as_a_plain_one_and_its_offsets():
  layer = DeformConv2D(8, 3)
  assert counted(layer, [1, 6, 6, 4]) == 36 * 9 * 4 * (8 + 18)


def test_products_agree_with_counting_by_hand():
  assert counted(lambda a, b: tf.matmul(a, b, transpose_a=True), [5, 3], [5, 7]) == 3 * 5 * 7
  assert counted(tf.matmul, [2, 4, 3, 5], [2, 4, 5, 7]) == 2 * 4 * 3 * 5 * 7
  assert (
    counted(lambda a, b: tf.einsum('nhwc,nc->nhw', a, b), [2, 3, 4, 5], [2, 5]) == 2 * 3 * 4 * 5
  )
  transposed = counted(
    lambda x, kernel: tf.nn.conv2d_transpose(x, kernel, [2, 6, 6, 5], 2),
    [2, 3, 3, 4],
    [2, 2, 5, 4],
  )
  assert transposed == 2 * 9 * 4 * 4 * 5


def test_what_cannot_be_counted_is_an_error():
  with pytest.raises(ValueError, match='cannot be counted'):
    counted(tf.matmul, [None, 3], [3, 7])
  with pytest.raises(ValueError, match=r'Conv3D .* cannot be counted'):
    counted(lambda x, k: tf.nn.conv3d(x, k, [1] * 5, 'SAME'), [1, 4, 4, 4, 2], [1, 1, 1, 2, 2])

  def loop(x):
    return tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y @ y), [0, x])

  with pytest.raises(ValueError, match='not known how often'):
    counted(loop, [3, 3])
