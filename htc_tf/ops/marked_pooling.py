"""RoIAlign as one operation in graphs that are converted to ONNX and not run by TensorFlow.

ONNX has RoiAlign, and TensorFlow does not. A `CropAndResize` with the inputs of RoiAlign marks the
place in the graph: its output has the same shape. The converter replaces it; see
`htc_tf.serving.runtimes.onnx_roi_align`.
"""

from collections.abc import Sequence

import tensorflow as tf

from htc_tf.ops.roi_view import View

OPERATION = 'CropAndResize'
# Value of the attribute `extrapolation_value` that tells marks from other operations of this type.
MARK = -12.5
# A box xyxy of which every sample is more than a pixel outside a map. RoIs without extent get it as
# well, because OpenVINO divides their sums by the number of samples, which is 0.
_OUTSIDE = (-9.0, -9.0, -8.0, -8.0)


def pool(maps: Sequence[tf.Tensor], rois: tf.Tensor, views: Sequence[View], size: int) -> tf.Tensor:
  """Marks of RoIs pooled from every view, summed over the views.

  All shapes are static: a RoI is pooled from all candidates of a view, but with a box outside the
  map from those that are not its own. That gives 0 and takes almost no time.

  Args:
    maps: [batch, height, width, channels] each, of static shape.
    rois: [batch, num_rois, 4] float32 yxyx in padded-image pixels, of static shape.
    views: one or more views.
    size: number of bins of an RoI along each axis.

  Returns:
    [batch * num_rois, size, size, channels] float32.
  """
  batch, num_rois = rois.shape[:2]
  images = tf.repeat(tf.range(batch), num_rois)
  boxes = tf.gather(tf.reshape(rois, [-1, 4]), [1, 0, 3, 2], axis=1)  # xyxy, the order of ONNX.
  pooled = []
  for view in views:
    scaled = boxes / view.strides[:, tf.newaxis]  # In pixels of the map.
    ends = scaled - 0.5  # As RoIAlign computes extents: rounding may leave none.
    has_extent = tf.reduce_all(ends[:, 2:] > ends[:, :2], axis=1)
    for index in view.candidates:
      counts = (has_extent & (view.maps == index))[:, tf.newaxis]  # [batch * num_rois, 1]
      boxes_of_map = tf.where(counts, scaled, _OUTSIDE)
      bins = _mark(maps[index], boxes_of_map, images, size * view.subdivision)
      pooled.append(_averaged(bins, view.subdivision))
  return tf.add_n(pooled)


def _mark(features: tf.Tensor, boxes: tf.Tensor, images: tf.Tensor, size: int) -> tf.Tensor:
  return tf.raw_ops.CropAndResize(
    image=tf.cast(features, tf.float32),
    boxes=boxes,
    box_ind=images,
    crop_size=[size, size],
    extrapolation_value=MARK,
  )


def _averaged(bins: tf.Tensor, subdivision: int) -> tf.Tensor:
  """Averages of blocks of bins, with `subdivision` bins a side."""
  if subdivision == 1:
    return bins
  return tf.nn.avg_pool2d(bins, subdivision, subdivision, 'VALID')
