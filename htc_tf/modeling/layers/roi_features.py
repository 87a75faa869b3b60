"""RoI features: pyramid and semantic context in one tensor."""

from typing import Optional

import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.roi_align import roi_align
from htc_tf.modeling.outputs import ImageFeatures


class RoIFeatures(tf_keras.layers.Layer):
  """Pools RoIs from the pyramid and adds the pooled semantic embedding (section 3.2, equation 6).

  Args:
    aligner: layer of (pyramid, rois) to [batch, num_rois, size, size, channels].
    crop_size: its size.
    semantic_crop_size: side the embedding is pooled to, a multiple of `crop_size`; averaged down
      to it. None: the semantic branch does not feed this head.
    semantic_stride: pixels a cell of the embedding covers.
  """

  def __init__(self, aligner: tf_keras.layers.Layer, crop_size: int,
               semantic_crop_size: Optional[int] = None, semantic_stride: int = 8, **kwargs):
    # Casting inputs to the compute type would round the RoIs.
    super().__init__(autocast=False, **kwargs)
    self._aligner = aligner
    self._crop_size = crop_size
    self._semantic_crop_size = semantic_crop_size
    self._semantic_stride = semantic_stride

  def call(self, features: ImageFeatures, rois: tf.Tensor) -> tf.Tensor:
    """Features of RoIs.

    Args:
      features: of the batch.
      rois: [batch, num_rois, 4] yxyx in padded-image pixels; padding rows are all -1.

    Returns:
      [batch, num_rois, crop_size, crop_size, channels] of the pyramid's dtype; 0 in padding rows.
    """
    pooled = self._aligner(features.pyramid, rois)
    if self._semantic_crop_size is None or features.semantic is None:
      return pooled
    context = roi_align(features.semantic, rois, self._semantic_stride, self._semantic_crop_size)
    return pooled + tf.cast(self._average(context), pooled.dtype)

  def _average(self, context: tf.Tensor) -> tf.Tensor:
    factor = self._semantic_crop_size // self._crop_size
    if factor == 1:
      return context
    shape = tf.shape(context)
    channels = context.shape[-1]
    flat = tf.reshape(context, [-1, self._semantic_crop_size, self._semantic_crop_size, channels])
    # [batch * num_rois, semantic_crop_size, semantic_crop_size, channels]
    pooled = tf.nn.avg_pool2d(flat, factor, factor, 'VALID')
    return tf.reshape(pooled, [shape[0], shape[1], self._crop_size, self._crop_size, channels])
