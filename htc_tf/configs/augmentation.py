"""Configuration of the augmentations, which are modules in data/augmentation/."""

import dataclasses

from official.modeling import hyperparams

from htc_tf.configs.bounds import Fraction, PositiveFloat


@dataclasses.dataclass
class ScaleJitter(hyperparams.Config):
  """Random scaling, followed by a random crop to the padded size.

  Attributes:
    min_factor: smallest factor on the scale; if both factors are 1, images are never cropped.
    max_factor: largest factor on the scale.
  """

  min_factor: PositiveFloat = 1.0
  max_factor: PositiveFloat = 1.0


@dataclasses.dataclass
class Flip(hyperparams.Config):
  """Random mirroring.

  Attributes:
    horizontal: probability of mirroring left and right, 0..1.
    vertical: probability of mirroring top and bottom, 0..1.
  """

  horizontal: Fraction = 0.5
  vertical: Fraction = 0.0


@dataclasses.dataclass
class Augmentation(hyperparams.Config):
  """Augmentations of training images, applied in the order of the fields.

  The name of a field is that of the registered augmentation.

  Attributes:
    scale_jitter: random scaling and cropping.
    flip: random mirroring.
  """

  scale_jitter: ScaleJitter = dataclasses.field(default_factory=ScaleJitter)
  flip: Flip = dataclasses.field(default_factory=Flip)
