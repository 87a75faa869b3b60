"""Feature relay: from the feature of a box head to that of a mask head."""

from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.ops.resize import resize_align_corners


class FeatureRelay(tf_keras.layers.Layer):
  """Feature relay of SCNet (Vu et al. 2021, section 3.2).

  A fully connected layer turns the feature of the last box head into a map, which is enlarged
  bilinearly, with aligned corners, and added to the RoI feature of the mask head.

  Args:
    crop_size: side of the map in bins, that of the RoI features of box heads.
    mask_crop_size: side of the enlarged map, that of the RoI features of mask heads.
    num_filters: number of channels of the map, that of the pyramid.
    **kwargs: arguments of Layer.
  """

  def __init__(self, crop_size: int, mask_crop_size: int, num_filters: int, **kwargs: Any):
    super().__init__(**kwargs)
    self._size = crop_size
    self._mask_size = mask_crop_size
    self._num_filters = num_filters
    self._fc = tf_keras.layers.Dense(
      crop_size * crop_size * num_filters, kernel_initializer='he_normal', name='fc'
    )

  def call(self, features: tf.Tensor) -> tf.Tensor:
    """Summands of the RoI features of the mask head.

    Args:
      features: [num_rois, fc_dims] features of the box head.

    Returns:
      [num_rois, mask_crop_size, mask_crop_size, num_filters].
    """
    maps = tf.reshape(self._fc(features), [-1, self._size, self._size, self._num_filters])
    return resize_align_corners(maps, [self._mask_size, self._mask_size])
