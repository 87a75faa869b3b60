"""RoI features: pyramid and semantic context in one tensor."""

from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.roi_align import MultilevelRoIAligner
from htc_tf.modeling.outputs import ImageFeatures
from htc_tf.ops import roi_pooling


class RoIFeatures(tf_keras.layers.Layer):
  """Pools RoIs from the pyramid and adds the pooled semantic embedding (section 3.2, equation 6).

  The published boxes take the embedding by RoIAlign 14, averaged 2 x 2 to 7. Both means, and the
  sum with the pyramid's feature, are one weighted sum of pixels.

  Args:
    aligner: layer of (pyramid, rois) to [batch, num_rois, size, size, channels].
    crop_size: its size.
    semantic_crop_size: side the embedding is pooled to, a multiple of `crop_size`; averaged down
      to it. None: the semantic branch does not feed this head.
    semantic_stride: pixels a cell of the embedding covers.
    **kwargs: passed to Layer.
  """

  def __init__(
    self,
    aligner: tf_keras.layers.Layer,
    crop_size: int,
    semantic_crop_size: int | None = None,
    semantic_stride: int = 8,
    **kwargs: Any,
  ):
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
    table = features.with_pooling_table().pooling_table
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
          subdivision=self._semantic_crop_size // self._crop_size,
        )
      )
    pooled = roi_pooling.pool(table, rois, views, self._crop_size) if views else 0
    if not isinstance(self._aligner, MultilevelRoIAligner):
      pooled += self._aligner(features.pyramid, rois)
    return pooled
