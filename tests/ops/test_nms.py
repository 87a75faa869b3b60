"""Tests of grouped non-maximum suppression against stored reference arrays."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.ops import nms, placement
from parity.pack import EXTRACT

_NO_THRESHOLD = -1.0  # below every score


@pytest.fixture(scope='module', name='reference')
def _reference():
  with np.load(EXTRACT / 'ops.npz') as arrays:
    reference = {key[4:]: arrays[key] for key in arrays.files if key.startswith('nms/')}
  for key in ('boxes', 'random_boxes'):
    reference[key] = reference[key][:, [1, 0, 3, 2]]
  return reference


def _on_gpu(boxes, scores, *limits):
  """The result of a graph for a GPU of inputs of unknown length."""
  shapes = [None, None, boxes.shape[2], 4], [None, None, scores.shape[2]]
  run = tf.function(
    lambda boxes, scores: nms.grouped_nms(boxes, scores, *limits),
    autograph=False,
    input_signature=[tf.TensorSpec(shape) for shape in shapes],
  )
  with placement.tracing_for(gpu=True):
    return run(boxes, scores)


@pytest.fixture(
  name='suppress', params=['kernel', 'one by one', 'at once', 'one by one, GPU', 'at once, GPU']
)
def _suppress(request):
  """Function that runs one of the three implementations on one image with scores [num, groups].

  XLA knows all shapes; in a graph for a GPU, the numbers of images and boxes are unknown.
  """
  function = nms.grouped_nms
  if request.param.endswith('GPU'):
    function = _on_gpu
  elif request.param != 'kernel':
    function = tf.function(nms.grouped_nms, jit_compile=True, autograph=False)

  def run(boxes, scores, threshold, max_outputs):
    boxes = boxes[None, :, None]
    if request.param.startswith('at once'):  # This implementation needs separate boxes per group.
      boxes, extra = (
        np.tile(boxes, [1, 1, scores.shape[1] + 1, 1]),
        np.full([len(scores), 1], _NO_THRESHOLD),
      )
      scores = np.concatenate([scores, extra.astype(np.float32)], axis=1)
    return function(
      tf.constant(boxes), tf.constant(scores[None]), threshold, _NO_THRESHOLD, max_outputs
    )

  return run


def _assert_kept(kept, boxes, scores, rows):
  assert kept.num_valid[0] == len(rows)
  np.testing.assert_array_equal(kept.boxes[0, : len(rows)], boxes[rows])
  np.testing.assert_array_equal(kept.scores[0, : len(rows)], scores[rows])


@pytest.mark.parametrize('threshold', [0.3, 0.5, 0.7])
def test_ties_at_the_threshold_and_empty_boxes_equal_the_reference(reference, suppress, threshold):
  boxes, scores = reference['boxes'], reference['scores']
  kept = suppress(boxes, scores[:, None], threshold, len(boxes))
  _assert_kept(kept, boxes, scores, reference[f'keep_threshold{threshold}'])


@pytest.mark.parametrize('threshold', [0.5, 0.7])
def test_random_boxes_equal_the_reference(reference, suppress, threshold):
  boxes, scores = reference['random_boxes'], reference['random_scores']
  kept = suppress(boxes, scores[:, None], threshold, len(boxes))
  _assert_kept(kept, boxes, scores, reference[f'random_keep_threshold{threshold}'])


def test_groups_do_not_suppress_each_other(reference, suppress):
  boxes, scores, labels = (reference[f'random_{key}'] for key in ('boxes', 'scores', 'labels'))
  in_group = labels[:, None] == np.arange(labels.max() + 1)
  kept = suppress(boxes, np.where(in_group, scores[:, None], _NO_THRESHOLD), 0.5, len(boxes))
  rows = reference['random_keep_per_label_threshold0.5']
  _assert_kept(kept, boxes, scores, rows)
  np.testing.assert_array_equal(kept.groups[0, : len(rows)], labels[rows])


def test_rows_beyond_the_number_kept_are_zero(reference, suppress):
  kept = suppress(reference['boxes'], reference['scores'][:, None], 0.5, 30)
  num = int(kept.num_valid[0])
  assert kept.boxes.shape == (1, 30, 4)
  for values in kept[:3]:
    assert not np.any(values[0, num:])


@pytest.mark.parametrize('jit_compile', [False, True])
def test_without_boxes_nothing_is_kept(jit_compile):
  function = tf.function(nms.grouped_nms, jit_compile=jit_compile, autograph=False)
  kept = function(tf.zeros([2, 0, 3, 4]), tf.zeros([2, 0, 3]), 0.5, _NO_THRESHOLD, 5)
  np.testing.assert_array_equal(kept.num_valid, [0, 0])
  assert kept.boxes.shape == (2, 5, 4)
