"""Numbers of images, objects and files of a prediction."""

import collections
import dataclasses
from collections.abc import Sequence

from htc_tf.serving.detected_image import DetectedImage

_MAX_CLASSES = 5


@dataclasses.dataclass
class Tally:
  """What a prediction found and wrote so far.

  Attributes:
    num_images: number of images.
    num_files: number of written files.
    objects: number of objects by the name of their class.
    unit: what an image is called.
  """

  num_images: int = 0
  num_files: int = 0
  objects: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
  unit: str = 'image'

  def add(self, image: DetectedImage, num_files: int) -> None:
    """Count an image, its objects and its files."""
    self.num_images += 1
    self.num_files += num_files
    self.objects.update(image.names)

  def describe(self, folder: str | None, rule: str, more_files: Sequence[str]) -> str:
    """The numbers in one line.

    Args:
      folder: the output folder; None if there is none.
      rule: smallest scores of the counted objects, in words.
      more_files: names of files that were not counted.
    """
    common = [f'{name} {count}' for name, count in self.objects.most_common(_MAX_CLASSES)]
    num_others = len(self.objects) - len(common)
    if num_others:
      common.append(f'{num_others} other classes')
    classes = f' ({", ".join(common)})' if common else ''
    objects = _counted(self.objects.total(), 'object')
    files = _counted(self.num_files + len(more_files), 'file')
    images = _counted(self.num_images, self.unit)
    where = '' if folder is None else f', {files} in {folder}'
    return f'{images}, {objects} {rule}{classes}{where}'


def _counted(number: int, word: str) -> str:
  return f'{number} {word}' if number == 1 else f'{number} {word}s'
