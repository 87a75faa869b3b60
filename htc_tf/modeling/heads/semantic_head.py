"""Fused semantic segmentation head."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.residual_convs import ResidualConvs
from htc_tf.ops.recompute import recompute_in_backward
from htc_tf.ops.resize import Size, resize_align_corners, spatial_size


class SemanticHead(tf_keras.layers.Layer):
  """Semantic branch of HTC (section 3.2, figure 3): fusion of all levels, then convolutions.

  The published head resizes every level to the fusion level before its 1x1 convolution. Both
  operations are linear and interpolation weights add up to 1, so their order can be swapped: here,
  a coarser level passes its convolution before it is enlarged. ReLU follows in either case.

  Args:
    num_classes: number of semantic classes, including background.
    levels: decoder levels to fuse, in the order of the published laterals.
    level: fusion level, to which all levels are resized.
    num_convs: number of 3x3 convolutions after the sum.
    num_filters: channels of all convolutions except that of the logits.
    residual: whether every two convolutions after the sum have a shortcut (SCNet); `num_convs` is
      then even.
    **kwargs: arguments of Layer.
  """

  def __init__(
    self,
    num_classes: int,
    levels: tuple[str, ...] = ('2', '3', '4', '5', '6'),
    level: int = 3,
    num_convs: int = 4,
    num_filters: int = 256,
    residual: bool = False,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._levels = tuple(levels)
    self._level = str(level)
    self._laterals = [
      self._conv(num_filters, 1, f'lateral_convs/{i}', activation=None) for i in range(len(levels))
    ]
    if residual:
      self._convs = [ResidualConvs(num_filters, name=f'convs/{i}') for i in range(num_convs // 2)]
    else:
      self._convs = [self._conv(num_filters, 3, f'convs/{i}') for i in range(num_convs)]
    self._embedding = self._conv(num_filters, 1, 'conv_embedding')
    self._logits = self._conv(num_classes, 1, 'conv_logits', activation=None)

  def _conv(
    self, filters: int, kernel_size: int, name: str, activation: str | None = 'relu'
  ) -> tf_keras.layers.Conv2D:
    initializer = tf_keras.initializers.VarianceScaling(2.0, 'fan_out', 'truncated_normal')
    return tf_keras.layers.Conv2D(
      filters,
      kernel_size,
      padding='same',
      activation=activation,
      kernel_initializer=initializer,
      name=name,
    )

  def build(self, input_shape: Mapping[str, tf.TensorShape]) -> None:
    """Create the variables of the laterals, which `call` reads without calling the laterals."""
    for level, lateral in zip(self._levels, self._laterals):
      with tf.name_scope(lateral.name):
        lateral.build(input_shape[level])
    super().build(input_shape)

  def call(
    self, features: Mapping[str, tf.Tensor], training: bool | None = None
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Semantic logits and the embedding that is added to RoI features.

    Args:
      features: {'2': [batch, h, w, channels], ...} by level.
      training: whether a backward pass follows.

    Returns:
      Logits [batch, h, w, num_classes] float32 and embedding [batch, h, w, num_filters], both at
      the stride of the fusion level.
    """
    size = spatial_size(features[self._level])
    fused = None
    for level, lateral in zip(self._levels, self._laterals):
      # One level at a time, so that only one map besides the sum is in memory.
      with tf.control_dependencies([] if fused is None else [fused]):
        x = self._fused_part(features[level], int(level), lateral, size, training)
      fused = x if fused is None else fused + x
    for conv in self._convs:
      fused = conv(fused)
    return tf.cast(self._logits(fused), tf.float32), self._embedding(fused)

  def _fused_part(
    self,
    x: tf.Tensor,
    level: int,
    lateral: tf_keras.layers.Layer,
    size: Size,
    training: bool | None,
  ) -> tf.Tensor:
    """ReLU of the convolution and resize of a level, in the order that needs fewer operations."""

    def part(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
      if level < int(self._level):
        x = resize_align_corners(x, size)
      x = tf.nn.conv2d(x, tf.cast(kernel, x.dtype), 1, 'SAME')
      x = tf.nn.bias_add(x, tf.cast(bias, x.dtype))
      if level > int(self._level):
        x = resize_align_corners(x, size)
      return tf.nn.relu(x)

    # Without recomputation, five maps would be kept for the backward pass. Recomputing them takes a
    # twentieth of the time of the branch.
    run = recompute_in_backward(part) if training else part
    return run(x, tf.convert_to_tensor(lateral.kernel), tf.convert_to_tensor(lateral.bias))
