"""Box head of one cascade stage."""

from typing import Any

import tensorflow as tf
import tf_keras


class BoxHead(tf_keras.layers.Layer):
  """Fully connected layers shared by a classifier and a class-agnostic box regressor.

  Args:
    num_classes: number of classes, including background at index 0.
    num_fcs: number of shared fully connected layers.
    fc_dims: width of the shared layers.
    **kwargs: arguments of Layer.
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
    # Always float32: in 16 bits, scores would tie and boxes would move by pixels.
    self._logits = tf_keras.layers.Dense(
      num_classes, kernel_initializer=normal(stddev=0.01), name='fc_cls', dtype=tf.float32
    )
    self._deltas = tf_keras.layers.Dense(
      4, kernel_initializer=normal(stddev=0.001), name='fc_reg', dtype=tf.float32
    )

  def call(
    self, roi_features: tf.Tensor, training: bool | None = None
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Class logits and box deltas of RoIs.

    Args:
      roi_features: [batch, num_rois, size, size, channels].
      training: unused; heads with batch norms need it.

    Returns:
      Logits [batch, num_rois, num_classes] and deltas [batch, num_rois, 4] (dy, dx, dh, dw, before
      division by the weights of the box coder), both float32.
    """
    del training
    shape = tf.shape(roi_features)
    x = tf.reshape(
      roi_features,
      [shape[0], shape[1], roi_features.shape[2] * roi_features.shape[3] * roi_features.shape[4]],
    )  # [batch, num_rois, size * size * channels]
    for fc in self._fcs:
      x = fc(x)
    return self._logits(x), self._deltas(x)
