"""Measurements of single operations on small stored inputs."""

import functools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from htc_tf.evaluation import mask_paste
from htc_tf.modeling.detection import DetectionGenerator
from htc_tf.modeling.layers.roi_align import roi_align
from htc_tf.ops import anchors as anchor_ops
from htc_tf.ops import assignment, deform_conv, nms, resize
from htc_tf.ops import boxes as box_ops
from htc_tf.ops import masks as mask_ops
from parity import layout
from parity.measurement import MAPS_BAR, RELATIVE, Measurement, near, relative_difference
from parity.pack import Arrays, Pack

_PX_BAR, _GRADIENT_BAR, _PROBABILITY_BAR = 1e-3, 1e-4, 1e-5
# Mask pixels whose value is nearer to the threshold than this are not compared.
_UNCLEAR = 1e-5
_STRIDE = 8.0
_DEFORM_CONV_CASES = ('stride1', 'stride2', 'grouped', 'far')
_DEFORM_CONV_INPUTS = ('x', 'offset', 'weight')
_CODERS = ('rpn', 'stage0', 'stage1', 'stage2')
# IoU thresholds: positive, negative, and smallest IoU of a low-quality match.
_THRESHOLDS = {
  'rpn': (0.7, 0.3, 0.3),
  'stage0': (0.5,) * 3,
  'stage1': (0.6,) * 3,
  'stage2': (0.7,) * 3,
}
_ANCHOR_SHAPES = {'2': (56, 80), '3': (28, 40), '4': (14, 20), '5': (7, 10), '6': (4, 5)}


def measurements(pack: Pack) -> Iterator[Measurement]:
  """Measurements of all operations in `ops.npz`.

  Args:
    pack: reference arrays.
  """
  arrays = pack.arrays('ops')
  for size in (7, 14):
    yield from _roi_align_measurements(arrays, size)
  for case in _DEFORM_CONV_CASES:
    yield from _deform_conv_measurements(arrays, case)
  for coder in _CODERS:
    yield from _box_coder_measurements(arrays, coder)
  yield from _matching_measurements(arrays)
  yield from _mask_measurements(arrays)
  for name, target in _resizings(arrays):
    yield _resizing_measurement(arrays, name, target)


def _roi_align_measurements(arrays: Arrays, size: int) -> Iterator[Measurement]:
  yield Measurement(
    f'RoIAlign {size} of 40 RoIs, {RELATIVE}', MAPS_BAR, lambda: _roi_align(arrays, size)[0]
  )
  yield Measurement(
    f'gradient of RoIAlign {size}, {RELATIVE}', _GRADIENT_BAR, lambda: _roi_align(arrays, size)[1]
  )


def _deform_conv_measurements(arrays: Arrays, case: str) -> Iterator[Measurement]:
  yield Measurement(
    f'deformable convolution, {case}, {RELATIVE}',
    MAPS_BAR,
    functools.partial(_deform_conv_difference, arrays, case, 'output'),
  )
  for key in _DEFORM_CONV_INPUTS:
    yield Measurement(
      f'gradient of deformable convolution, {case}, by {key}, {RELATIVE}',
      _GRADIENT_BAR,
      functools.partial(_deform_conv_difference, arrays, case, key),
    )


def _box_coder_measurements(arrays: Arrays, coder: str) -> Iterator[Measurement]:
  yield near(
    f'box encoding, {coder}',
    lambda: _encoded(arrays, coder),
    lambda: layout.yx(arrays[f'box_coder/{coder}_encoded']),
  )
  yield Measurement(
    f'box decoding and clipping, {coder}, largest difference in px',
    _PX_BAR,
    lambda: _decoding_difference(arrays, coder),
  )


def _matching_measurements(arrays: Arrays) -> Iterator[Measurement]:
  """Measurements of anchors, assignment, NMS and the selection of detections."""
  for level in _ANCHOR_SHAPES:
    yield Measurement(
      f'anchors of P{level}, number that differ',
      0,
      functools.partial(_num_wrong_anchors, arrays, level),
    )
  for name in _THRESHOLDS:
    yield Measurement(
      f'assignment, {name}, number that differ',
      0,
      functools.partial(_num_wrong_assignments, arrays, name),
    )
  for threshold in (0.3, 0.5, 0.7):
    yield Measurement(
      f'NMS at {threshold} with ties, number of boxes that differ',
      0,
      functools.partial(_num_wrong_kept, arrays, threshold),
    )
  yield Measurement(
    'detections of 120 boxes, largest difference of a score',
    _PROBABILITY_BAR,
    lambda: _detection_difference(arrays),
  )


def _mask_measurements(arrays: Arrays) -> Iterator[Measurement]:
  yield Measurement(
    'mask targets, number of pixels that differ and are not at the threshold',
    0,
    lambda: _num_wrong_target_pixels(arrays),
  )
  yield near(
    'pasted mask probabilities',
    lambda: _pasted(arrays, mask_paste.paste_mask_values),
    lambda: arrays['mask_paste/values'],
  )
  yield Measurement(
    'pasted masks, number of pixels that differ',
    0,
    lambda: np.sum(
      _pasted(arrays, mask_paste.paste_masks) != arrays['mask_paste/masks'].astype(bool)
    ),
  )


def _resizing_measurement(arrays: Arrays, name: str, target: str) -> Measurement:
  return near(
    f'{name} {target}'.replace('_', ' '),
    lambda: _resized(arrays, name, target),
    lambda: layout.channels_last(arrays[f'{name}/{target}']),
  )


def _roi_align(arrays: Arrays, size: int) -> tuple[float, float]:
  """Relative differences of the output and of the gradient by the features."""
  rois = arrays['roi_align/rois']
  rows = np.arange(len(rois))
  boxes = np.full([2, len(rois), 4], -1, np.float32)
  boxes[rois[:, 0].astype(int), rows] = layout.yx(rois[:, 1:])
  upstream = layout.channels_last(arrays[f'roi_align/upstream{size}'])
  features = tf.constant(layout.channels_last(arrays['roi_align/features']))
  with tf.GradientTape() as tape:
    tape.watch(features)
    pooled = roi_align(features, tf.constant(boxes), _STRIDE, size)
    output = tf.gather_nd(pooled, np.stack([rois[:, 0].astype(int), rows], 1))
  gradient = tape.gradient(output, features, output_gradients=tf.constant(upstream))

  def difference(actual: tf.Tensor, key: str) -> float:
    return relative_difference(
      actual.numpy(), layout.channels_last(arrays[f'roi_align/{key}{size}'])
    )

  return difference(output, 'output'), difference(gradient, 'feature_gradient')


def _deform_conv_difference(arrays: Arrays, case: str, key: str) -> float:
  """Relative difference of the 'output', or of the gradient by one of `_DEFORM_CONV_INPUTS`."""

  def stored(name: str) -> np.ndarray:
    return arrays[f'deform_conv/{case}/{name}']

  axes = {'x': layout.channels_last, 'offset': layout.channels_last, 'weight': layout.kernel}
  x, offsets, weight = (tf.constant(axes[name](stored(name))) for name in _DEFORM_CONV_INPUTS)
  with tf.GradientTape() as tape:
    tape.watch([x, offsets, weight])
    output = deform_conv.deform_conv2d(
      x, offsets, weight, int(stored('stride')), int(stored('groups'))
    )
  gradients = tape.gradient(
    output,
    [x, offsets, weight],
    output_gradients=tf.constant(layout.channels_last(stored('upstream'))),
  )
  if key == 'output':
    return relative_difference(output.numpy(), layout.channels_last(stored('output')))
  gradient = gradients[_DEFORM_CONV_INPUTS.index(key)]
  return relative_difference(gradient.numpy(), axes[key](stored(f'{key}_gradient')))


def _coder_weights(arrays: Arrays, coder: str) -> tuple[float, ...]:
  return tuple(1.0 / layout.yx(arrays[f'box_coder/{coder}_stds']))


def _encoded(arrays: Arrays, coder: str) -> np.ndarray:
  rows = arrays['box_coder/encode_rows']
  boxes, anchors = (layout.yx(arrays[f'box_coder/{key}'])[rows] for key in ('gts', 'rois'))
  return box_ops.encode(boxes, anchors, _coder_weights(arrays, coder)).numpy()


def _decoding_difference(arrays: Arrays, coder: str) -> float:
  deltas, rois = (layout.yx(arrays[f'box_coder/{key}']) for key in ('deltas', 'rois'))
  decoded = box_ops.decode(deltas, rois, _coder_weights(arrays, coder))
  clipped = box_ops.clip(decoded[tf.newaxis], arrays['box_coder/image_size_hw'][np.newaxis])[0]
  return np.abs(clipped - layout.yx(arrays[f'box_coder/{coder}_decoded_clipped'])).max()


def _num_wrong_anchors(arrays: Arrays, level: str) -> int:
  anchors = anchor_ops.generate_anchors(_ANCHOR_SHAPES)[level]
  inside = anchor_ops.inside_image(anchors, arrays['anchors/image_size_hw'][np.newaxis])
  differ = np.any(anchors != layout.yx(arrays[f'anchors/P{level}']), -1)
  return np.sum(differ | (inside[0].numpy() != arrays[f'anchors/inside_P{level}'].astype(bool)))


def _num_wrong_assignments(arrays: Arrays, name: str) -> int:
  boxes, gt_boxes = (
    layout.yx(arrays[f'assigner/{key}'])[np.newaxis] for key in ('boxes', 'gt_boxes')
  )
  result = assignment.assign(
    boxes, np.ones(boxes.shape[:2], bool), gt_boxes, *_THRESHOLDS[name], match_low_quality=True
  )
  return np.sum(result[0].numpy() != arrays[f'assigner/{name}_gt_index_plus1'] - 1)


def _num_wrong_kept(arrays: Arrays, threshold: float) -> int:
  boxes, scores = layout.yx(arrays['nms/boxes']), arrays['nms/scores']
  expected = boxes[arrays[f'nms/keep_threshold{threshold}']]
  kept = nms.grouped_nms(
    boxes[np.newaxis, :, np.newaxis], scores[np.newaxis, :, np.newaxis], threshold, -1.0, len(boxes)
  )
  rows = np.zeros_like(boxes)
  rows[: len(expected)] = expected
  count = abs(int(kept.num_valid[0]) - len(expected))
  return count + np.sum(np.any(kept.boxes[0].numpy() != rows, -1))


def _detection_difference(arrays: Arrays) -> float:
  """Largest difference of a score; NaN if labels or boxes differ."""
  detections, labels = arrays['multiclass_nms/detections'], arrays['multiclass_nms/labels']
  boxes, probs = layout.yx(arrays['multiclass_nms/boxes']), arrays['multiclass_nms/probs']
  generator = DetectionGenerator(max_detections=len(detections))
  found = generator.select(
    tf.constant(layout.background_first(probs))[tf.newaxis],
    tf.constant(boxes)[tf.newaxis],
    tf.ones([1, len(boxes)], tf.bool),
  )
  same = np.array_equal(found.classes[0], labels + 1) and np.array_equal(
    found.boxes[0], layout.yx(detections[:, :4])
  )
  return np.abs(found.scores[0] - detections[:, 4]).max() if same else np.nan


def _num_wrong_target_pixels(arrays: Arrays) -> int:
  masks = np.packbits(arrays['mask_target/masks'], axis=-1)[np.newaxis]
  size = np.array([arrays['mask_target/masks'].shape[1:]], np.float32)
  targets = mask_ops.mask_targets(
    masks,
    layout.yx(arrays['mask_target/boxes'])[np.newaxis],
    arrays['mask_target/mask_indices'][np.newaxis].astype(np.int32),
    size,
  )[0].numpy()
  clear = np.abs(arrays['mask_target/before_threshold'] - 0.5) >= _UNCLEAR
  return np.sum((targets != arrays['mask_target/targets']) & clear)


def _pasted(arrays: Arrays, paste: Callable[..., np.ndarray]) -> np.ndarray:
  size = tuple(arrays['mask_paste/image_size_hw'].tolist())
  return paste(arrays['mask_paste/probs'], layout.yx(arrays['mask_paste/boxes']), size)


def _resizings(arrays: Arrays) -> Iterator[tuple[str, str]]:
  """Pairs of the name of a function of `ops.resize` and the name of a stored result."""
  for key in arrays.names():
    name, _, target = key.partition('/')
    if name in ('resize_align_corners', 'resize_nearest') and target.startswith('to_'):
      yield name, target


def _resized(arrays: Arrays, name: str, target: str) -> np.ndarray:
  size = arrays[f'{name}/{target}'].shape[-2:]
  x = tf.constant(layout.channels_last(arrays[f'{name}/x']))
  return getattr(resize, name)(x, tf.constant(size)).numpy()
