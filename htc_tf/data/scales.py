"""Scales at which evaluation sees an image."""

from typing import NamedTuple

import tensorflow as tf

from htc_tf.data import preprocess
from htc_tf.data.padding import PaddingRule


class Scale(NamedTuple):
  """A rule for resizing and padding images in evaluation.

  Attributes:
    min_size: length of the short side, unless a limit makes it shorter.
    max_size: limit of the long side.
    padding: rule for the padded size; an image that is larger than every bucket is shrunk further.
    normalization: that of the model that sees this scale; None for that of the pipeline.
  """

  min_size: int
  max_size: int
  padding: PaddingRule
  normalization: preprocess.Normalization | None = None

  def apply(
    self, image: tf.Tensor, normalization: preprocess.Normalization
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """The network input [padded_h, padded_w, channels] and image_info [4, 2] of an image.

    Args:
      image: [height, width, channels] samples.
      normalization: mean, standard deviation, and type of the result, unless the scale has its own.
    """
    normalization = self.normalization or normalization
    original_hw = tf.shape(image)[:2]
    rule = (original_hw, self.min_size, self.max_size)
    bound = self.padding.bound(preprocess.scaled_size(*rule))
    size = preprocess.scaled_size(*rule, bound)
    resized = preprocess.normalize(preprocess.resize_image(image, size), normalization)
    padded = preprocess.pad_to(resized, self.padding.padded_hw(size, bound))
    return tf.cast(padded, normalization.dtype), preprocess.image_info(original_hw, size)


def image_key(number: int) -> str:
  """The label that holds the images at a scale, counted from 1; scale 0 is the network input."""
  return f'image_{number}'


def info_key(number: int) -> str:
  """The label that holds the image_info of a scale; scale 0 has no number."""
  return f'image_info_{number}' if number else 'image_info'
