"""Mask feature extractor of one cascade stage."""

from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.group_norm import GroupNormConv2D
from htc_tf.modeling.layers.residual_convs import ResidualConvs


def _conv(filters: int, kernel_size: int, norm_groups: int, name: str) -> tf_keras.layers.Layer:
  initializer = tf_keras.initializers.VarianceScaling(2.0, 'fan_out', 'truncated_normal')
  if norm_groups:
    return GroupNormConv2D(
      filters, kernel_size, norm_groups, tf.nn.relu, kernel_initializer=initializer, name=name
    )
  return tf_keras.layers.Conv2D(
    filters,
    kernel_size,
    padding='same',
    activation='relu',
    kernel_initializer=initializer,
    name=name,
  )


class MaskHead(tf_keras.layers.Layer):
  """Convolutions on an RoI feature, to which the mask feature of the previous stage is added.

  The information flow is HTC's equation 4 (section 3.1): the previous stage's feature passes a 1x1
  convolution and is added to this stage's RoI feature.

  Args:
    num_convs: number of 3x3 convolutions.
    num_filters: channels of all convolutions; with information flow, the RoI feature must have the
      same number of channels.
    takes_previous: whether the feature of the previous stage is added (information flow).
    residual: whether every two convolutions have a shortcut (SCNet); `num_convs` is then even.
    norm_groups: number of groups of the group norm between each convolution, which then has no
      bias, and its ReLU; 0 for none. Residual convolutions have none.
    **kwargs: arguments of Layer.
  """

  def __init__(
    self,
    num_convs: int = 4,
    num_filters: int = 256,
    takes_previous: bool = False,
    residual: bool = False,
    norm_groups: int = 0,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    if residual:
      self._convs = [ResidualConvs(num_filters, name=f'convs/{i}') for i in range(num_convs // 2)]
    else:
      self._convs = [_conv(num_filters, 3, norm_groups, f'convs/{i}') for i in range(num_convs)]
    self._flow = _conv(num_filters, 1, norm_groups, 'conv_res') if takes_previous else None

  def call(self, roi_features: tf.Tensor, previous: tf.Tensor | None = None) -> tf.Tensor:
    """Mask feature of every RoI.

    Args:
      roi_features: [num_rois, size, size, channels].
      previous: mask feature of the previous stage on the same RoIs, of the same shape; ignored by
        a head without information flow.

    Returns:
      [num_rois, size, size, num_filters].
    """
    x = roi_features
    if self._flow is not None and previous is not None:
      x += self._flow(previous)
    for conv in self._convs:
      x = conv(x)
    return x
