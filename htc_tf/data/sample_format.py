"""Channels and depth of images: those of a file, and those that a model reads."""

from typing import NamedTuple

# More "channels" than this are an axis in the wrong place, or a film.
MAX_CHANNELS = 64
DEPTHS = (8, 16)


class SampleFormat(NamedTuple):
  """Number of channels of an image, and number of bits of their samples.

  Attributes:
    num_channels: number of channels.
    bits: number of bits of a sample, 8 or 16.
  """

  num_channels: int = 3
  bits: int = 8

  @property
  def is_rgb(self) -> bool:
    """Whether these are RGB images of 8 bits, into which images of every kind are converted."""
    return self == RGB

  @property
  def dtype(self) -> str:
    """Name of the type of the samples."""
    return f'uint{self.bits}'

  @property
  def array_type(self) -> str:
    """Type of the samples, and the meaning of the channels if it is known, for messages."""
    return 'uint8, RGB' if self.is_rgb else self.dtype

  def __str__(self) -> str:
    """The format in words."""
    return f'{self.num_channels} channel{"s"[: self.num_channels != 1]} of {self.bits} bits'


RGB = SampleFormat()
