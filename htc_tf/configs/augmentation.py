"""Configuration of the augmentations, which are modules in data/augmentation/."""

import dataclasses
from typing import Annotated

from official.modeling import hyperparams

from htc_tf.configs.bounds import Bounds, Fraction, PositiveFloat, PositiveFraction


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
class Rotate90(hyperparams.Config):
  """Random turns by 90, 180 or 270 degrees, for images without a natural upper side.

  Attributes:
    probability: probability that an image is turned, 0..1.
  """

  probability: Fraction = 0.0


@dataclasses.dataclass
class Crop(hyperparams.Config):
  """Random part of the stored image, which is then resized like a whole image.

  Attributes:
    probability: probability that an image is cropped, 0..1.
    min_area: smallest share of the area of the image, above 0 and at most 1.
    max_stretch: largest factor on the aspect ratio, or on its reciprocal, 1..100.
    min_visible: smallest visible share of an object that is kept, 0..1.
  """

  probability: Fraction = 0.0
  min_area: PositiveFraction = 0.3
  max_stretch: Annotated[float, Bounds(1, 100)] = 1.5
  min_visible: Fraction = 0.1


@dataclasses.dataclass
class CopyPaste(hyperparams.Config):
  """Pasting of objects of other training images; needs masks.

  Attributes:
    probability: probability that objects are pasted into an image, 0..1.
    max_objects: largest number of objects pasted into an image; their number is random.
    min_visible: smallest share of an object that must stay visible for it to be kept, 0..1.
  """

  probability: Fraction = 0.0
  max_objects: Annotated[int, Bounds(1, 10**6)] = 100
  min_visible: Fraction = 0.1


@dataclasses.dataclass
class Brightness(hyperparams.Config):
  """Random brightness: all pixels times one factor.

  Attributes:
    probability: probability that an image is changed, 0..1.
    max_change: the factor is from 1 - max_change to 1 + max_change; 0..1.
  """

  probability: Fraction = 0.0
  max_change: Fraction = 0.2


@dataclasses.dataclass
class Contrast(hyperparams.Config):
  """Random contrast: the distance from the mean of each channel times one factor.

  Attributes:
    probability: probability that an image is changed, 0..1.
    max_change: the factor is from 1 - max_change to 1 + max_change; 0..1.
  """

  probability: Fraction = 0.0
  max_change: Fraction = 0.2


@dataclasses.dataclass
class Saturation(hyperparams.Config):
  """Random saturation: the distance from gray times one factor; RGB only.

  Attributes:
    probability: probability that an image is changed, 0..1.
    max_change: the factor is from 1 - max_change to 1 + max_change; 0..1.
  """

  probability: Fraction = 0.0
  max_change: Fraction = 0.3


@dataclasses.dataclass
class Hue(hyperparams.Config):
  """Random hue; RGB only.

  Attributes:
    probability: probability that an image is changed, 0..1.
    max_turn: largest rotation in either direction, as a share of the color circle, 0..0.5.
  """

  probability: Fraction = 0.0
  max_turn: Annotated[float, Bounds(0, 0.5, likely_cause='an angle in degrees')] = 0.02


@dataclasses.dataclass
class Blur(hyperparams.Config):
  """Gaussian blur.

  Attributes:
    probability: probability that an image is changed, 0..1.
    max_sigma: largest standard deviation in pixels of the network input, 0..20.
  """

  probability: Fraction = 0.0
  max_sigma: Annotated[float, Bounds(0, 20)] = 1.5


@dataclasses.dataclass
class Noise(hyperparams.Config):
  """Gaussian noise.

  Attributes:
    probability: probability that an image is changed, 0..1.
    max_stddev: largest standard deviation, as a share of the range of pixels, 0..1.
  """

  probability: Fraction = 0.0
  max_stddev: Annotated[float, Bounds(0, 1, likely_cause='a number of gray levels')] = 0.03


@dataclasses.dataclass
class Jpeg(hyperparams.Config):
  """Artifacts of JPEG compression; RGB only.

  Attributes:
    probability: probability that an image is changed, 0..1.
    min_quality: lowest quality, 1..100; the highest is 100.
  """

  probability: Fraction = 0.0
  min_quality: Annotated[int, Bounds(1, 100)] = 40


@dataclasses.dataclass
class Augmentation(hyperparams.Config):
  """Augmentations of training images.

  The name of a field is that of the registered augmentation. Positions are chosen first (crop,
  scale_jitter, flip, rotate90), then objects are pasted, then pixels are changed in the order of
  the fields. All but flip are off by default.

  Attributes:
    scale_jitter: random scaling and cropping.
    flip: random mirroring.
    rotate90: random turns by multiples of 90 degrees.
    crop: random parts of images.
    copy_paste: pasting of objects of other images.
    brightness: random brightness.
    contrast: random contrast.
    saturation: random saturation.
    hue: random hue.
    blur: Gaussian blur.
    noise: Gaussian noise.
    jpeg: artifacts of JPEG compression.
  """

  scale_jitter: ScaleJitter = dataclasses.field(default_factory=ScaleJitter)
  flip: Flip = dataclasses.field(default_factory=Flip)
  # New fields stand behind the older ones, so that a seed gives the choices of earlier versions.
  rotate90: Rotate90 = dataclasses.field(default_factory=Rotate90)
  crop: Crop = dataclasses.field(default_factory=Crop)
  copy_paste: CopyPaste = dataclasses.field(default_factory=CopyPaste)
  brightness: Brightness = dataclasses.field(default_factory=Brightness)
  contrast: Contrast = dataclasses.field(default_factory=Contrast)
  saturation: Saturation = dataclasses.field(default_factory=Saturation)
  hue: Hue = dataclasses.field(default_factory=Hue)
  blur: Blur = dataclasses.field(default_factory=Blur)
  noise: Noise = dataclasses.field(default_factory=Noise)
  jpeg: Jpeg = dataclasses.field(default_factory=Jpeg)
