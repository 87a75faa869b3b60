"""Box head of one cascade stage."""

from typing import Any

import tensorflow as tf
import tf_keras


class BoxHead(tf_keras.layers.Layer):
  """Fully connected layers shared by a classifier and a box regressor.

  Args:
    num_classes: number of classes, including background at index 0.
    num_fcs: number of shared fully connected layers.
    fc_dims: width of the shared layers.
    class_agnostic: whether all classes share the box deltas of a RoI (Cai and Vasconcelos 2018), or
      each class has its own (Girshick 2015).
    **kwargs: arguments of Layer.
  """

  def __init__(
    self,
    num_classes: int,
    num_fcs: int = 2,
    fc_dims: int = 1024,
    class_agnostic: bool = True,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._num_foreground = num_classes - 1
    normal = tf_keras.initializers.RandomNormal
    self._fcs = [
      tf_keras.layers.Dense(
        fc_dims, 'relu', kernel_initializer='glorot_uniform', name=f'shared_fcs/{i}'
      )
      for i in range(num_fcs)
    ]
    # Always float32: in 16 bits, scores would tie and boxes would move by pixels.
    self._logits = tf_keras.layers.Dense(
      num_classes, kernel_initializer=normal(stddev=0.01), name='fc_cls', dtype=tf.float32
    )
    deltas = tf_keras.layers.Dense(
      4 if class_agnostic else 4 * self._num_foreground,
      kernel_initializer=normal(stddev=0.001),
      name='fc_reg',
      dtype=tf.float32,
    )
    # Two names in checkpoints, so that the weights of one kind are never taken for the other's.
    self._class_agnostic = class_agnostic
    if class_agnostic:
      self._deltas = deltas
    else:
      self._class_deltas = deltas

  def call(
    self,
    roi_features: tf.Tensor,
    training: bool | None = None,
    valid: tf.Tensor | None = None,
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Class logits and box deltas of RoIs.

    Args:
      roi_features: [batch, num_rois, size, size, channels].
      training: whether the model trains; this head, which has no norm, does not read it.
      valid: [batch, num_rois] bool, False in padding rows; likewise.

    Returns:
      As `predict`.
    """
    return self.predict(self.shared_feature(roi_features))

  def shared_feature(self, roi_features: tf.Tensor) -> tf.Tensor:
    """The feature from which logits and deltas are computed, [batch, num_rois, fc_dims].

    Args:
      roi_features: [batch, num_rois, size, size, channels].
    """
    shape = tf.shape(roi_features)
    x = tf.reshape(
      roi_features,
      [shape[0], shape[1], roi_features.shape[2] * roi_features.shape[3] * roi_features.shape[4]],
    )  # [batch, num_rois, size * size * channels]
    for fc in self._fcs:
      x = fc(x)
    return x

  def predict(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Class logits and box deltas of RoIs.

    Args:
      x: [batch, num_rois, fc_dims] of `shared_feature`.

    Returns:
      Logits [batch, num_rois, num_classes] and deltas (dy, dx, dh, dw, before division by the
      weights of the box coder), both float32. Class-agnostic deltas are [batch, num_rois, 4],
      others [batch, num_rois, num_classes - 1, 4], where the first ones belong to class 1.
    """
    if self._class_agnostic:
      return self._logits(x), self._deltas(x)
    deltas = tf.reshape(
      self._class_deltas(x), [*tf.unstack(tf.shape(x)[:2]), self._num_foreground, 4]
    )
    return self._logits(x), deltas
