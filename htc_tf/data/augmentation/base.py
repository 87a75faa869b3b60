"""The base class of augmentations, and the plan that they can change."""

from typing import NamedTuple

import tensorflow as tf

Tensors = dict[str, tf.Tensor]


class PlacementPlan(NamedTuple):
  """The part of an image's placement that augmentations can change.

  Attributes:
    scale: [] float64 factor from the stored image to the resized one.
    flip_yx: [2] bool, whether rows and columns are mirrored.
    transpose: [] bool, whether rows and columns are exchanged before they are mirrored; False if no
      image is transposed.
  """

  scale: tf.Tensor
  flip_yx: tf.Tensor
  transpose: tf.Tensor | bool = False


class Augmentation:
  """Base class; a subclass overrides one or more of the methods.

  An image is augmented in this order: `change_region`, `change_plan`, `combine`, `change_pixels`,
  each for all augmentations in turn.

  Random choices must be functions of the seed (`tf.random.stateless_*`), so that a run with
  `task.seed` is repeatable whatever the parallelism of the input pipeline. Choices that depend on
  tensors need `tf.where` or `tf.cond`, because autograph does not convert Python's `if`.

  Attributes:
    name: name in the configuration, which `registry.register` sets.
    may_crop: whether images may become larger than their padded size and are then cropped.
    may_cut: whether `change_region` is called.
    combines: whether `combine` is called.
    min_visible: share of an object that must stay visible for the object to be kept, 0..1.
    refits_boxes: whether the box of an object that is partly hidden is that of its visible pixels,
      if there are masks; otherwise it is the visible part of the annotated box.
    needs_rgb: whether `change_pixels` is defined for red, green and blue only.
  """

  name = ''
  may_crop = False
  may_cut = False
  combines = False
  min_visible = 0.0
  refits_boxes = False
  needs_rgb = False

  @property
  def is_active(self) -> bool:
    """Whether an image can be changed."""
    return True

  def change_region(self, region: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The part of the stored image that is used.

    Args:
      region: [4] int32 top, left, height and width in stored pixels, as changed by the preceding
        augmentations.
      seed: [2] int64 seed, different for each augmentation and image.
    """
    del seed
    return region

  def change_plan(self, plan: PlacementPlan, seed: tf.Tensor) -> PlacementPlan:
    """The plan for placing image, boxes, masks and semantic map.

    Args:
      plan: plan as changed by the preceding augmentations.
      seed: [2] int32 seed, different for each augmentation and image.
    """
    del seed
    return plan

  def combine(
    self, placed: Tensors, other: Tensors, max_num_instances: int, seed: tf.Tensor
  ) -> Tensors:
    """An image together with parts of another one.

    Args:
      placed: placed image, result of `data.parser.Parser.place`.
      other: another placed image, which may have another size.
      max_num_instances: largest number of instances per image.
      seed: [2] int64 seed, different for each augmentation and image.

    Returns:
      The placed image in the same form, with the same padded size.
    """
    del other, max_num_instances, seed
    return placed

  def change_pixels(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The image with changed pixels and unchanged shape.

    The image is the visible part, after resizing, cropping and flipping and before normalization.

    Args:
      image: [height, width, channels] float32, 0..255; with 3 channels RGB.
      seed: [2] int32 seed, different for each augmentation and image.
    """
    del seed
    return image
