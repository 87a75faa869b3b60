"""Choice of the padded sizes of training images by the sizes of the images at hand."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

_MAX_CANDIDATES = 64

Size = tuple[int, int]


class Resizing(NamedTuple):
  """The published rule for resizing an image.

  Attributes:
    min_size: length of the short side, unless the limit makes it shorter.
    max_size: limit of the long side.
  """

  min_size: int
  max_size: int

  def scale(self, height: int, width: int) -> float:
    """Factor of the rule for an image."""
    return min(self.max_size / max(height, width), self.min_size / min(height, width))


def choose_frames(
  image_sizes: Sequence[tuple[int, int, int]], resizing: Resizing, divisor: int, number: int
) -> list[Size]:
  """Padded sizes that hold all resized images with little padding.

  The sizes of all images, rounded up, are merged in pairs, always the pair that adds the fewest
  pixels, until few enough are left.

  Args:
    image_sizes: height, width and number of images of that size.
    resizing: rule for resizing.
    divisor: number that padded sides are multiples of.
    number: largest number of padded sizes.

  Returns:
    (height, width), smallest area first.
  """
  counts: dict[Size, int] = {}
  for height, width, count in image_sizes:
    scale = resizing.scale(height, width)
    frame = (_padded(height * scale, divisor), _padded(width * scale, divisor))
    counts[frame] = counts.get(frame, 0) + count
  while len(counts) > _MAX_CANDIDATES:
    # With so many sizes, joining the rarest one with its best partner is nearly as good.
    rarest = min(counts, key=lambda frame: counts[frame])
    _merge(counts, min((pair for pair in _pairs_with(counts, rarest)), key=_cost_in(counts)))
  while len(counts) > number:
    pairs = (pair for frame in counts for pair in _pairs_with(counts, frame))
    _merge(counts, min(pairs, key=_cost_in(counts)))
  return sorted(counts, key=lambda frame: (frame[0] * frame[1], frame))


def _padded(side: float, divisor: int) -> int:
  return -(-max(1, int(side + 0.5)) // divisor) * divisor


def _pairs_with(counts: dict[Size, int], frame: Size) -> list[tuple[Size, Size]]:
  return [(frame, other) for other in counts if other != frame]


def _union(pair: tuple[Size, Size]) -> Size:
  return max(pair[0][0], pair[1][0]), max(pair[0][1], pair[1][1])


def _cost_in(counts: dict[Size, int]) -> Callable[[tuple[Size, Size]], tuple[int, Size]]:
  """A function from a pair to the pixels that merging it adds to all images."""

  def cost(pair: tuple[Size, Size]) -> tuple[int, Size]:
    height, width = _union(pair)
    added = sum(counts[size] * (height * width - size[0] * size[1]) for size in pair)
    return added, (height, width)

  return cost


def _merge(counts: dict[Size, int], pair: tuple[Size, Size]) -> None:
  number = sum(counts.pop(size) for size in pair)
  union = _union(pair)
  counts[union] = counts.get(union, 0) + number
