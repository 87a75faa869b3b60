"""Choice of the maps that RoIs are pooled from."""

from typing import NamedTuple

import tensorflow as tf


class View(NamedTuple):
  """Map that each RoI is pooled from, and the resolution of the pooling.

  Attributes:
    maps: [batch * num_rois] int32 index of the map in the table.
    strides: [batch * num_rois] float32 padded-image pixels per pixel of that map.
    candidates: indices that `maps` may contain.
    subdivision: with n, a bin is the average of the n x n bins of a finer RoIAlign.
  """

  maps: tf.Tensor
  strides: tf.Tensor
  candidates: tuple[int, ...]
  subdivision: int = 1
