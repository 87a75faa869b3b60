"""Windows of TIFF files, of which only the blocks that a window touches are decoded."""

import collections
import os

import numpy as np

from htc_tf.data import exif, image_limits, images, tiff_blocks, tiff_parts
from htc_tf.data.pixel_box import Box
from htc_tf.data.rgb_pixels import UnreadableImageError
from htc_tf.data.sample_format import MAX_CHANNELS, RGB, SampleFormat
from htc_tf.data.tiff_blocks import Blocks

_CACHED_BYTES = 256 * 2**20


class TiffWindows:
  """A TIFF file of any size, of which windows are read.

  A window has the pixels that `images.read_image` gives for the whole file. The blocks that were
  decoded last are kept, up to 256 MiB, so that the windows of a row do not decode the strips of the
  whole width again.

  Args:
    path: path of the file.
    pages: blocks of the pages; see `open_windows`.
    sample_format: channels and depth of the pixels.

  Attributes:
    path: path of the file.
    size: height and width in pixels, upright.
    sample_format: channels and depth of the pixels.
  """

  def __init__(self, path: str, pages: list[Blocks], sample_format: SampleFormat):
    self.path = path
    self.sample_format = sample_format
    self._pages = pages
    first = pages[0]
    self._orientation = first.orientation
    turned = self._orientation in exif.EXCHANGING
    self.size = (first.width, first.height) if turned else (first.height, first.width)
    self._cells: collections.OrderedDict[tuple[int, int], np.ndarray] = collections.OrderedDict()

  def read(self, box: Box) -> np.ndarray:
    """The pixels of a window, [height, width, channels] of the type of `sample_format`.

    Args:
      box: the window, inside the upright image.

    Raises:
      UnreadableImageError: the file is damaged, or has other channels or another depth.
      OSError: the file cannot be opened.
    """
    samples = self._read_stored(_stored_box(box, self.size, self._orientation))
    return exif.upright_samples(samples, self._orientation)

  def _read_stored(self, box: Box) -> np.ndarray:
    """The pixels of a window of the image as it is stored."""
    cell_height, cell_width = self._cell_hw
    samples = np.empty((box.height, box.width, self.sample_format.num_channels), self._dtype)
    for row in range(box.top // cell_height, -(-box.bottom // cell_height)):
      for column in range(box.left // cell_width, -(-box.right // cell_width)):
        cell = self._cell(row, column)
        top, left = row * cell_height, column * cell_width
        covered = Box(top, left, top + cell.shape[0], left + cell.shape[1]).intersection(box)
        target = covered.moved(-box.top, -box.left)
        target.crop(samples)[:] = covered.moved(-top, -left).crop(cell)
    return samples

  @property
  def _dtype(self) -> str:
    return self.sample_format.dtype

  @property
  def _cell_hw(self) -> tuple[int, int]:
    """Height and width of the blocks that are decoded together."""
    blocks = self._pages[0]
    (rows, columns), (height, width) = blocks.together, blocks.block_hw
    return rows * height, columns * width

  def _cell(self, row: int, column: int) -> np.ndarray:
    """Some blocks together, decoded, from the ones that are kept or from the file."""
    if (row, column) in self._cells:
      self._cells.move_to_end((row, column))
      return self._cells[row, column]
    cell = self._decoded(row, column)
    self._cells[row, column] = cell
    while len(self._cells) > 1 and self._kept_bytes > _CACHED_BYTES:
      self._cells.popitem(last=False)
    return cell

  @property
  def _kept_bytes(self) -> int:
    return sum(cell.nbytes for cell in self._cells.values())

  def _decoded(self, row: int, column: int) -> np.ndarray:
    with open(self.path, 'rb') as stream:
      parts = [
        page.part(stream, *(_of_cell(*each) for each in zip((row, column), page.together, grid)))
        for page in self._pages
        for grid in [page.positions.shape[1:]]
      ]
    content = tiff_parts.write(parts, self._pages[0].order)
    return images.read_image(content).samples(self.sample_format)


def open_windows(path: str | os.PathLike, sample_format: SampleFormat = RGB) -> TiffWindows | None:
  """A TIFF file of which windows can be read.

  Args:
    path: path of the file.
    sample_format: channels and depth of the pixels.

  Returns:
    None if the file is no TIFF file, or has to be decoded as a whole: a damaged directory, a rare
    compression, or pages that are not the channels of one image.

  Raises:
    UnreadableImageError: the strips or tiles of the file are too large to be decoded one by one.
    OSError: the file cannot be opened.
  """
  with open(path, 'rb') as stream:
    try:
      # Further pages are no colors.
      pages = tiff_blocks.read_blocks(stream, 1 if sample_format.is_rgb else MAX_CHANNELS + 1)
    except UnreadableImageError:
      return None  # The reader of whole files judges damage.
  if pages is None:
    return None
  first = pages[0]
  if any(_layout(page) != _layout(first) for page in pages):
    return None
  if first.pixels_together > image_limits.MAX_PIXELS:
    height, width = first.block_hw
    raise UnreadableImageError(
      'Windows of the TIFF file cannot be read',
      expected=f'strips or tiles of at most {image_limits.MAX_PIXELS} pixels',
      got=f'{width}x{height} pixels in one piece',
      likely_cause='a file that was compressed as a whole; save it again with tiles, such as with '
      '`tiffcp -t` or `vips tiffsave --tile`',
    )
  return TiffWindows(os.fspath(path), pages, sample_format)


def _layout(page: Blocks) -> tuple[object, ...]:
  return page.height, page.width, page.block_hw, page.is_tiled


def _of_cell(index: int, together: int, count: int) -> range:
  """Rows or columns of blocks of a cell."""
  return range(index * together, min((index + 1) * together, count))


def _stored_box(box: Box, upright_hw: tuple[int, int], orientation: int) -> Box:
  """A window of the upright image in the image as it is stored; see `exif.upright_samples`."""
  height, width = upright_hw
  top, left, bottom, right = box
  if orientation in (3, 4, 7, 8):
    top, bottom = height - bottom, height - top
  if orientation in (2, 3, 6, 7):
    left, right = width - right, width - left
  if orientation in exif.EXCHANGING:
    top, left, bottom, right = left, top, right, bottom
  return Box(top, left, bottom, right)
