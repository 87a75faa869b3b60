"""Pictures of images of any number of channels, of 8 or 16 bits, for people to look at."""

import numpy as np

_LOWEST, _HIGHEST = 1, 99  # Percentiles that become black and white.
_MAX_SAMPLED = 1_000_000


def to_rgb(samples: np.ndarray) -> np.ndarray:
  """A picture of an image, [height, width, 3] uint8 RGB.

  RGB images of 8 bits stay as they are. Of an image of three or more channels, the first three are
  shown as red, green and blue; of one or two, the first is shown in gray. Samples of 16 bits are
  stretched so that 1 percent of the samples of a channel is black and 1 percent at its maximum:
  most cameras use a small part of the range.

  Args:
    samples: [height, width, channels] uint8 or uint16.
  """
  shown = samples[..., :3] if samples.shape[2] >= 3 else samples[..., :1]
  if shown.dtype == np.uint16:
    shown = np.stack([_stretched(shown[..., i]) for i in range(shown.shape[2])], axis=-1)
  if shown.shape[2] == 1:
    shown = np.repeat(shown, 3, axis=2)
  return np.ascontiguousarray(shown)


def _stretched(channel: np.ndarray) -> np.ndarray:
  """A channel of 16 bits, [height, width], with 8 bits."""
  step = -(-channel.size // _MAX_SAMPLED)
  low, high = np.percentile(channel.reshape(-1)[::step], [_LOWEST, _HIGHEST])
  scaled = (channel.astype(np.float32) - low) * (255 / max(high - low, 1))
  return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
