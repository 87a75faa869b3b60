"""RoI features: features of the pyramid plus features of the semantic embedding."""

from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.roi_align import MultilevelRoIAligner
from htc_tf.modeling.outputs import ImageFeatures
from htc_tf.ops import roi_pooling


class RoIFeatures(tf_keras.layers.Layer):
  """RoI features of the pyramid plus those of the semantic embedding (section 3.2, equation 6).

  For box heads, the paper's code pools the embedding by RoIAlign to 14 x 14 and averages 2 x 2 to
  7 x 7. Both means, and the sum with the feature of the pyramid, are one weighted sum of pixels.

  Args:
    aligner: layer from (pyramid, rois) to [batch, num_rois, crop_size, crop_size, channels].
    crop_size: number of bins of an RoI along each axis.
    semantic_crop_size: number of bins, along each axis, that the embedding is pooled to before it
      is averaged down to `crop_size`; a multiple of `crop_size`. None if the semantic branch does
      not feed these heads.
    semantic_stride: padded-image pixels per pixel of the embedding.
    **kwargs: arguments of Layer.
  """

  def __init__(
    self,
    aligner: tf_keras.layers.Layer,
    crop_size: int,
    semantic_crop_size: int | None = None,
    semantic_stride: int = 8,
    **kwargs: Any,
  ):
    # Under mixed precision, Keras would cast the RoIs to 16 bits: errors of several pixels.
    super().__init__(autocast=False, **kwargs)
    self._aligner = aligner
    self.crop_size = crop_size
    self._semantic_crop_size = semantic_crop_size
    self._semantic_stride = semantic_stride

  def call(self, features: ImageFeatures, rois: tf.Tensor) -> tf.Tensor:
    """Features of RoIs.

    Args:
      features: features of the batch.
      rois: [batch, num_rois, 4] yxyx in padded-image pixels; padding rows are all -1.

    Returns:
      [batch, num_rois, crop_size, crop_size, channels] of the pyramid's dtype. Padding rows are 0,
      or the feature of the global context branch, which is added to all rows.
    """
    table = features.pooling_table
    if table is None:
      table = features.build_pooling_table()
    views = []
    if isinstance(self._aligner, MultilevelRoIAligner):
      views.append(self._aligner.view(table, rois))
    if self._semantic_crop_size is not None and features.semantic is not None:
      views.append(
        roi_pooling.single_map(
          table,
          'semantic',
          self._semantic_stride,
          tf.reduce_prod(tf.shape(rois)[:2]),
          subdivision=self._semantic_crop_size // self.crop_size,
        )
      )
    pooled: Any = roi_pooling.pool(table, rois, views, self.crop_size) if views else 0
    if not isinstance(self._aligner, MultilevelRoIAligner):
      pooled += self._aligner(features.pyramid, rois)
    if features.context is None:
      return pooled
    context = tf.cast(features.context, pooled.dtype)
    return pooled + context[:, tf.newaxis, tf.newaxis, tf.newaxis]
