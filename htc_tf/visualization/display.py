"""Pictures that a screen shows, made of images with any channels and depth."""

import numpy as np

from htc_tf.errors import InputError

# Shares of the samples of an image that are shown as black and as white.
_DARKEST, _BRIGHTEST = 0.1, 99.9


def displayed_rgb(pixels: np.ndarray) -> np.ndarray:
  """An image as 8-bit RGB.

  Images of 8 bits with three channels are returned unchanged. One channel is shown as gray, two as
  red and green; of more than three, the first three are shown. Deeper samples rarely use their
  whole range, so each channel is stretched from its darkest to its brightest samples.

  Args:
    pixels: [height, width, channels] uint8, or uint16 or floating-point numbers of any range.

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
  shown = pixels[..., :3] if pixels.dtype == np.uint8 else _stretched(pixels[..., :3])
  channels = shown.shape[2]
  if channels == 1:
    return np.repeat(shown, 3, axis=2)
  if channels == 2:
    return np.concatenate([shown, np.zeros_like(shown[..., :1])], axis=2)
  return shown


def _stretched(pixels: np.ndarray) -> np.ndarray:
  """Samples as uint8, with each channel stretched to the whole range."""
  samples = np.nan_to_num(pixels.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
  low, high = np.percentile(samples, [_DARKEST, _BRIGHTEST], axis=(0, 1))
  scaled = 255 * (samples - low) / np.maximum(high - low, np.finfo(np.float32).tiny)
  return np.rint(scaled).clip(0, 255).astype(np.uint8)
