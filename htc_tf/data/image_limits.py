"""Limits of the size of images, which are checked before anything is decoded."""

from htc_tf.data.rgb_pixels import UnreadableImageError

# An RGB image of this size takes 150 MB once decoded; photographs of most phones are smaller.
MAX_PIXELS = 50_000_000
# Images of more channels may have as many samples as an RGB image.
MAX_SAMPLES = 3 * MAX_PIXELS


def check_size(height: int, width: int, num_channels: int = 1) -> None:
  """Raise UnreadableImageError for an image with too many pixels or samples."""
  if height * width > MAX_PIXELS:
    raise too_large(f'{width}x{height}')
  if height * width * num_channels > MAX_SAMPLES:
    raise UnreadableImageError(
      'The image has too many samples',
      expected=f'at most {MAX_SAMPLES} in all channels together',
      got=f'{width}x{height} with {num_channels} channels',
      likely_cause='a scan: cut it into tiles',
    )


def too_large(size: str) -> UnreadableImageError:
  """The error for an image with too many pixels; `size` describes it."""
  return UnreadableImageError(
    'The image has too many pixels',
    expected=f'at most {MAX_PIXELS}',
    got=size,
    likely_cause='a file made to fill the memory, or a scan: make it smaller',
  )
