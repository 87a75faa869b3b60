"""The base class of augmentations, and the plan that they can change."""

from typing import NamedTuple

import tensorflow as tf


class PlacementPlan(NamedTuple):
  """The part of an image's placement that augmentations can change.

  Attributes:
    scale: [] float64 factor from the stored image to the resized one.
    flip_yx: [2] bool, whether rows and columns are mirrored.
  """

  scale: tf.Tensor
  flip_yx: tf.Tensor


class Augmentation:
  """Base class; a subclass overrides one or both of the methods.

  Random choices must be functions of the seed (`tf.random.stateless_*`), so that a run with
  `task.seed` is repeatable whatever the parallelism of the input pipeline. Choices that depend on
  tensors need `tf.where` or `tf.cond`, because autograph does not convert Python's `if`.

  Attributes:
    may_crop: whether images may become larger than their padded size and are then cropped.
  """

  may_crop = False

  def change_plan(self, plan: PlacementPlan, seed: tf.Tensor) -> PlacementPlan:
    """The plan for placing image, boxes, masks and semantic map.

    Args:
      plan: plan as changed by the preceding augmentations.
      seed: [2] int32 seed, different for each augmentation and image.
    """
    del seed
    return plan

  def change_pixels(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The image with changed pixels and unchanged shape.

    The image is the visible part, after resizing, cropping and flipping and before normalization.

    Args:
      image: [height, width, 3] float32 RGB, 0..255.
      seed: [2] int32 seed, different for each augmentation and image.
    """
    del seed
    return image
