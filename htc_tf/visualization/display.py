"""Pictures that a screen shows, made of images with any channels and depth."""

from typing import NamedTuple

import numpy as np

from htc_tf.errors import InputError

# Shares of the samples of an image that are shown as black and as white.
_DARKEST, _BRIGHTEST = 0.1, 99.9
_SMALLEST = np.finfo(np.float32).tiny


class ValueRange(NamedTuple):
  """What is shown as black and as white.

  Attributes:
    low: [channels] darkest samples.
    high: [channels] brightest samples.
  """

  low: np.ndarray
  high: np.ndarray


def range_of(pixels: np.ndarray) -> ValueRange | None:
  """The range of the samples of an image, without the few darkest and brightest ones.

  Args:
    pixels: [height, width, channels] of any type.

  Returns:
    None for uint8, which is shown as it is.
  """
  if pixels.dtype == np.uint8:
    return None
  return _deep_range(pixels)


def displayed_rgb(pixels: np.ndarray, shown_range: ValueRange | None = None) -> np.ndarray:
  """An image as 8-bit RGB.

  Images of 8 bits with three channels are returned unchanged. One channel is shown as gray, two as
  red and green; of more than three, the first three are shown. Deeper samples rarely use their
  whole range, so each channel is stretched from its darkest to its brightest samples.

  Args:
    pixels: [height, width, channels] uint8, or uint16 or floating-point numbers of any range.
    shown_range: range of the samples of the image that `pixels` is a part of; by default, that of
      `pixels`.

  Returns:
    [height, width, 3] uint8.

  Raises:
    InputError: the array has another shape.
  """
  if pixels.ndim != 3 or not pixels.size:
    raise InputError(
      'The image cannot be shown',
      expected='[height, width, channels] with at least one sample',
      got=f'{list(pixels.shape)}',
    )
  shown = pixels[..., :3]
  if pixels.dtype != np.uint8:
    shown = _stretched(shown, shown_range or _deep_range(shown))
  channels = shown.shape[2]
  if channels == 1:
    return np.repeat(shown, 3, axis=2)
  if channels == 2:
    return np.concatenate([shown, np.zeros_like(shown[..., :1])], axis=2)
  return shown


def _deep_range(pixels: np.ndarray) -> ValueRange:
  limits = [
    np.percentile(_finite(channel), [_DARKEST, _BRIGHTEST])
    for channel in np.moveaxis(pixels, -1, 0)
  ]
  return ValueRange(*np.transpose(limits))


def _stretched(pixels: np.ndarray, shown_range: ValueRange) -> np.ndarray:
  """Samples as uint8, with each channel stretched to the whole range.

  One channel after another, because floating-point numbers of all take much memory.
  """
  shown = np.empty(pixels.shape, np.uint8)
  for channel, (low, high) in zip(range(pixels.shape[2]), zip(*shown_range)):
    scaled = 255 * (_finite(pixels[..., channel]) - low) / max(high - low, _SMALLEST)
    shown[..., channel] = np.rint(scaled).clip(0, 255)
  return shown


def _finite(pixels: np.ndarray) -> np.ndarray:
  return np.nan_to_num(pixels.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
