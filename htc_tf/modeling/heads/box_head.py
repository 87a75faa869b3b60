"""Box head of one cascade stage."""

from typing import Any

import tensorflow as tf
import tf_keras


class BoxHead(tf_keras.layers.Layer):
  """Fully connected layers shared by a classifier and a class-agnostic box regressor.

  Args:
    num_classes: classes, background (index 0) included.
    num_fcs: shared fully connected layers.
    fc_dims: their width.
    **kwargs: passed to Layer.
  """

  def __init__(self, num_classes: int, num_fcs: int = 2, fc_dims: int = 1024, **kwargs: Any):
    super().__init__(**kwargs)
    normal = tf_keras.initializers.RandomNormal
    self._fcs = [
      tf_keras.layers.Dense(
        fc_dims, 'relu', kernel_initializer='glorot_uniform', name=f'shared_fcs/{i}'
      )
      for i in range(num_fcs)
    ]
    # In float32 whatever the features are: of 16 bits, scores would tie and boxes move by pixels.
    self._logits = tf_keras.layers.Dense(
      num_classes, kernel_initializer=normal(stddev=0.01), name='fc_cls', dtype=tf.float32
    )
    self._deltas = tf_keras.layers.Dense(
      4, kernel_initializer=normal(stddev=0.001), name='fc_reg', dtype=tf.float32
    )

  def call(self, roi_features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Classifies and regresses RoIs.

    Args:
      roi_features: [batch, num_rois, size, size, channels].

    Returns:
      logits [batch, num_rois, num_classes] and deltas [batch, num_rois, 4] (dy, dx, dh, dw, before
      division by the box coder's weights), both float32.
    """
    shape = tf.shape(roi_features)
    x = tf.reshape(
      roi_features,
      [shape[0], shape[1], roi_features.shape[2] * roi_features.shape[3] * roi_features.shape[4]],
    )
    # [batch, num_rois, size * size * channels]
    for fc in self._fcs:
      x = fc(x)
    return self._logits(x), self._deltas(x)
