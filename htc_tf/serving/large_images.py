"""Files whose images are read tile by tile."""

import os
import stat

from htc_tf import file_errors
from htc_tf.data import tiff_windows
from htc_tf.data.images import UnreadableImageError
from htc_tf.data.pixel_box import Box
from htc_tf.data.sample_format import SampleFormat
from htc_tf.data.tiff_windows import TiffWindows
from htc_tf.errors import InputError
from htc_tf.serving.tiling import Tiling


def open_large(path: str, sample_format: SampleFormat, tiling: Tiling | None) -> TiffWindows | None:
  """The image of a file, if it is larger than a tile and can be read in windows.

  Args:
    path: path of the file.
    sample_format: channels and depth of the images that the model reads.
    tiling: how images are cut; None if they are not.

  Returns:
    None if the file has to be read as a whole: it fits one tile, is no TIFF file, or has a rare
    form.

  Raises:
    InputError: the file cannot be opened or decoded, or has other channels or another depth.
  """
  if tiling is None:
    return None
  try:
    with file_errors.as_input_errors(reading=True):
      if not stat.S_ISREG(os.stat(path).st_mode):
        return None
      windows = tiff_windows.open_windows(path, sample_format)
    if windows is None or not tiling.cuts(windows.size):
      return None
    windows.read(Box(0, 0, 1, 1))  # Raises for pixels that the model cannot read.
    return windows
  except UnreadableImageError as error:
    raise InputError(f'{path} cannot be read: {error}') from error
