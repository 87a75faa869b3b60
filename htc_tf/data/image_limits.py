"""Limits of the size of images, which are checked before anything is decoded."""

import contextlib
import contextvars
from collections.abc import Iterator

from htc_tf.data.rgb_pixels import UnreadableImageError

# An RGB image of this size takes 150 MB once decoded; photographs of most phones are smaller.
MAX_PIXELS = 50_000_000
# Images of more channels may have as many samples as an RGB image.
MAX_SAMPLES = 3 * MAX_PIXELS
# An image that is cut into tiles may be so much larger. A process then takes about 2.1 GB to read
# it; Pillow refuses files a little above.
TILED_FACTOR = 3
_REMEDY = (
  'make it smaller, or cut it into files; a conversion with --tile_size reads images of up to '
  f'{TILED_FACTOR * MAX_PIXELS} pixels, and htc-predict with --tile_size TIFF files of any size'
)
_factor = contextvars.ContextVar('factor', default=1)


@contextlib.contextmanager
def for_tiles(is_cut: bool) -> Iterator[None]:
  """A context in which images may be `TILED_FACTOR` times as large if they are cut into tiles."""
  token = _factor.set(TILED_FACTOR if is_cut else 1)
  try:
    yield
  finally:
    _factor.reset(token)


def max_pixels() -> int:
  """Largest number of pixels of an image."""
  return MAX_PIXELS * _factor.get()


def check_size(height: int, width: int, num_channels: int = 1) -> None:
  """Raise UnreadableImageError for an image with too many pixels or samples."""
  if height * width > max_pixels():
    raise too_large(f'{width}x{height}')
  max_samples = MAX_SAMPLES * _factor.get()
  if height * width * num_channels > max_samples:
    raise UnreadableImageError(
      'The image has too many samples',
      expected=f'at most {max_samples} in all channels together',
      got=f'{width}x{height} with {num_channels} channels',
      likely_cause=f'a scan: {_REMEDY}',
    )


def too_large(size: str) -> UnreadableImageError:
  """The error for an image with too many pixels; `size` describes it."""
  return UnreadableImageError(
    'The image has too many pixels',
    expected=f'at most {max_pixels()}',
    got=size,
    likely_cause=f'a file made to fill the memory, or a scan: {_REMEDY}',
  )
