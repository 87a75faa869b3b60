"""Convolutions between two branches of HRNet, nested as in the published state dicts."""

from collections.abc import Sequence
from typing import TypeAlias

import tensorflow as tf

from htc_tf.modeling.layers.normed_conv import NormedConv2D

# A convolution that keeps the resolution, or convolutions of stride 2 in a row; None passes the map
# on.
Path: TypeAlias = NormedConv2D | list[NormedConv2D] | None


def convs_of(path: Path) -> Sequence[NormedConv2D]:
  """The convolutions of a path, in their order."""
  if path is None:
    return []
  return [path] if isinstance(path, NormedConv2D) else path


def build_path(path: Path, shape: Sequence[int | None]) -> Sequence[int | None]:
  """Create the variables of a path for a map [batch, height, width, channels].

  Returns:
    Shape of the map after the path.
  """
  for conv in convs_of(path):
    with tf.name_scope(conv.name):
      conv.build(shape)
    shape = conv.compute_output_shape(shape)
  return shape
