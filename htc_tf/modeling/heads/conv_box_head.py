"""Box head of one cascade stage with convolutions before the fully connected layers."""

import itertools
from typing import Any

import tensorflow as tf

from htc_tf.modeling.heads.box_head import BoxHead
from htc_tf.modeling.layers.batch_norm import BatchNorm, NormOptions
from htc_tf.modeling.layers.conv_norm import conv_norm
from htc_tf.modeling.layers.group_norm import GroupNormConv2D
from htc_tf.modeling.layers.padded_conv import PaddedConv2D


class ConvBoxHead(BoxHead):
  """3x3 convolutions, each with a norm and ReLU, before the layers of `BoxHead`.

  It is the `4conv1fc` head of Wu and He 2018 (section 5.2), with their group norm or batch norm.

  Args:
    num_convs: number of convolutions.
    num_filters: number of channels of each.
    norm: options of the batch norms.
    norm_groups: number of groups of group norms in their place; 0 for batch norms.
    **kwargs: arguments of `BoxHead`.
  """

  def __init__(
    self,
    num_convs: int,
    num_filters: int,
    norm: NormOptions,
    norm_groups: int = 0,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    if norm_groups:
      self._convs = [
        GroupNormConv2D(num_filters, 3, norm_groups, tf.nn.relu, name=f'shared_convs/{i}')
        for i in range(num_convs)
      ]
      self._norms = []
      return
    self._convs = [
      PaddedConv2D(
        num_filters, 3, use_bias=False, kernel_initializer='he_normal', name=f'shared_convs/{i}'
      )
      for i in range(num_convs)
    ]
    self._norms = [
      BatchNorm(name=f'shared_convs/{i}/bn', fused=False, **norm._asdict())
      for i in range(num_convs)
    ]  # Fused norms would ignore the mask.

  def build(self, input_shape: tf.TensorShape) -> None:
    """Create the variables of convolutions and norms, which `conv_norm` may read uncalled."""
    shape = [None, *tf.TensorShape(input_shape)[2:]]
    for conv, norm in zip(self._convs, self._norms):
      with tf.name_scope(conv.name):
        conv.build(shape)
      shape = conv.compute_output_shape(shape)
      with tf.name_scope(norm.name):
        norm.build(shape)
    super().build(input_shape)

  def call(
    self,
    roi_features: tf.Tensor,
    training: bool | None = None,
    valid: tf.Tensor | None = None,
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Class logits and box deltas of RoIs, as those of `BoxHead`.

    Args:
      roi_features: [batch, num_rois, size, size, channels].
      training: whether the batch norms use the statistics of the RoIs of the batch.
      valid: [batch, num_rois] bool, False in padding rows, which do not count in the statistics,
        because the paper's code has none; None if all rows are RoIs.
    """
    mask = None if valid is None else _mask(valid)
    shape = tf.shape(roi_features)
    x = tf.reshape(roi_features, tf.concat([[-1], shape[2:]], 0))
    x = tf.ensure_shape(x, [None, *roi_features.shape[2:]])  # [batch * num_rois, size, ...]
    for conv, norm in itertools.zip_longest(self._convs, self._norms):
      # Without a norm of its own, a convolution has a group norm and ReLU.
      x = conv(x) if norm is None else tf.nn.relu(conv_norm(x, conv, norm, training, mask))
    outputs = tf.reshape(x, [shape[0], shape[1], *x.shape[1:]])
    return super().call(outputs)


def _mask(valid: tf.Tensor) -> tf.Tensor:
  """The rows that count in the statistics, [batch * num_rois, 1, 1] bool.

  All rows count in a batch without any RoI, whose statistics would be 0 / 0 otherwise.
  """
  return tf.reshape(valid | ~tf.reduce_any(valid), [-1, 1, 1])
