"""Views of the same images: resized to another scale, or mirrored."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from htc_tf.ops import boxes as box_ops


class View(NamedTuple):
  """A batch of images as the network reads them in one view.

  Attributes:
    images: [batch, height, width, channels], normalized and padded.
    image_shape: [batch, 2] float32 height and width of the images inside the padding.
    scale: [batch, 2] float32 pixels of the view per pixel of the original image, in y and x.
    is_mirrored: whether the images are mirrored from left to right.
  """

  images: tf.Tensor
  image_shape: tf.Tensor
  scale: tf.Tensor
  is_mirrored: bool = False

  @property
  def inputs(self) -> Mapping[str, tf.Tensor]:
    """The inputs of the model."""
    return {'images': self.images, 'image_shape': self.image_shape}

  def mirrored(self) -> 'View':
    """This view, mirrored inside the padding, which stays on the right."""
    widths = tf.cast(self.image_shape[:, 1], tf.int32)
    images = tf.reverse_sequence(self.images, widths, seq_axis=2, batch_axis=0)
    return self._replace(images=images, is_mirrored=not self.is_mirrored)

  def to_original(self, boxes: tf.Tensor) -> tf.Tensor:
    """Boxes in pixels of the original images.

    Args:
      boxes: [batch, num, ..., 4] yxyx in pixels of this view.
    """
    return self._mirror(boxes) / self._scales(boxes)

  def from_original(self, boxes: tf.Tensor) -> tf.Tensor:
    """Boxes in pixels of this view.

    Args:
      boxes: [batch, num, ..., 4] yxyx in pixels of the original images.
    """
    return self._mirror(boxes * self._scales(boxes))

  def _scales(self, boxes: tf.Tensor) -> tf.Tensor:
    scales = tf.tile(self.scale, [1, 2])  # [batch, 4]
    return tf.reshape(scales, [-1, *[1] * (boxes.shape.rank - 2), 4])

  def _mirror(self, boxes: tf.Tensor) -> tf.Tensor:
    if not self.is_mirrored:
      return boxes
    top, left, bottom, right = tf.unstack(boxes, axis=-1)
    width = box_ops.expand_like(self.image_shape[:, 1], top)
    return tf.stack([top, width - right, bottom, width - left], axis=-1)


def views_of(scaled: Sequence[tuple[tf.Tensor, tf.Tensor]], mirrors: bool) -> list[View]:
  """The views of a batch at some scales.

  Args:
    scaled: for each scale the images [batch, height, width, channels], normalized and padded, and
      their image_info [batch, 4, 2]; see `preprocess.image_info`.
    mirrors: whether a mirrored view follows each one.
  """
  found = []
  for images, info in scaled:
    view = View(images, info[:, 1], info[:, 2])
    found += [view, view.mirrored()] if mirrors else [view]
  return found
