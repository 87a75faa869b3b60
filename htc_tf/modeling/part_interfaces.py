"""What some backbones and decoders have beside the interface of Model Garden's."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import tensorflow as tf


@runtime_checkable
class CompositeBackbone(Protocol):
  """A backbone with an assisting one, on whose features the other parts train too (CBNetV2)."""

  def maps_of_both(
    self, images: tf.Tensor, training: bool | None = None
  ) -> tuple[Mapping[str, tf.Tensor], Mapping[str, tf.Tensor]]:
    """Feature maps by level of the assisting and of the lead backbone.

    Args:
      images: [batch, height, width, channels], normalized and padded.
      training: whether the model trains.
    """


@runtime_checkable
class ImageReadingDecoder(Protocol):
  """A decoder that is called with (maps, images), such as that of DetectoRS.

  Attributes:
    reads_images: true.
  """

  reads_images: bool

  def __call__(
    self, maps: Mapping[str, tf.Tensor], images: tf.Tensor, training: bool | None = None
  ) -> Mapping[str, tf.Tensor]:
    """The pyramid by level.

    Args:
      maps: feature maps of the backbone by level.
      images: [batch, height, width, channels], normalized and padded.
      training: whether the model trains.
    """
