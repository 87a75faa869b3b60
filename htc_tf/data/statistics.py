"""Statistics of the images and objects of a data set, which a training is fitted to.

This module does not import TensorFlow, so that metadata can be read without it.
"""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

# Shares of the objects that are not larger than the stored quantiles.
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_MAX_CV_CHANNELS = 4  # cv2.meanStdDev takes no more.
# With more different sizes they are rounded, so that the metadata stays small.
_MAX_SIZES = 10_000


@dataclasses.dataclass(frozen=True)
class DatasetStatistics:
  """Statistics of a data set in records; crowd regions do not count.

  Attributes:
    images_by_category: number of images with an object of each class; entry 0 is label 1.
    instances_by_category: number of objects of each class; entry 0 is label 1.
    image_sizes: height, width and number of images of that size, the most frequent first; of data
      sets with more than 10,000 different sizes, sides are rounded up to multiples of a power of 2.
    objects_per_image: number of objects and number of images with so many, in ascending order.
    box_sides: side of a square with the area of a box, in pixels of the stored image, at the shares
      `QUANTILES` of the objects; empty without objects.
    mask_areas: area of the masks in pixels of the stored image, at the same shares; empty without
      objects or masks.
    num_channels: number of channels of the images.
    bits: number of bits of a sample, 8 or 16.
    channel_mean: mean of each channel over all pixels, in units of the samples.
    channel_stddev: standard deviation of each channel over all pixels, in units of the samples.
    num_selected_images: number of images that the published trainings do not leave out; None for
      records of earlier versions.
  """

  images_by_category: tuple[int, ...]
  instances_by_category: tuple[int, ...]
  image_sizes: tuple[tuple[int, int, int], ...]
  objects_per_image: tuple[tuple[int, int], ...]
  box_sides: tuple[float, ...]
  mask_areas: tuple[float, ...]
  num_channels: int
  bits: int
  channel_mean: tuple[float, ...]
  channel_stddev: tuple[float, ...]
  num_selected_images: int | None = None

  @property
  def max_objects(self) -> int:
    """Largest number of objects in an image."""
    return self.objects_per_image[-1][0]

  @classmethod
  def from_json(cls, content: dict[str, Any]) -> 'DatasetStatistics':
    """The statistics that `dataclasses.asdict` and JSON made of them.

    Raises:
      TypeError: an entry is missing or unknown, or is no list of numbers.
    """
    pairs = ('image_sizes', 'objects_per_image')
    values: dict[str, Any] = {
      key: tuple(map(tuple, value)) if key in pairs else _as_tuple(value)
      for key, value in content.items()
    }
    return cls(**values)


def _as_tuple(value: Any) -> Any:
  return tuple(value) if isinstance(value, list) else value


class StatisticsCollector:
  """A collector of the statistics of one shard.

  Attributes:
    images_by_label: number of images by label.
    instances_by_label: number of objects by label.
    image_sizes: number of images by height and width.
    objects_per_image: number of images by number of objects.
    box_areas: area of every box in pixels.
    mask_areas: area of every mask in pixels.
    num_selected_images: number of images that the published trainings do not leave out.
    bits: largest number of bits of a sample.
    num_pixels: number of pixels by number of channels.
    sums: sum of the samples of each channel, by number of channels.
    squares: sum of their squares.
  """

  def __init__(self) -> None:
    self.images_by_label: collections.Counter[int] = collections.Counter()
    self.instances_by_label: collections.Counter[int] = collections.Counter()
    self.image_sizes: collections.Counter[tuple[int, int]] = collections.Counter()
    self.objects_per_image: collections.Counter[int] = collections.Counter()
    self.box_areas: list[float] = []
    self.mask_areas: list[int] = []
    self.num_selected_images = 0
    self.bits = 8
    self.num_pixels: collections.Counter[int] = collections.Counter()
    self.sums: dict[int, np.ndarray] = {}
    self.squares: dict[int, np.ndarray] = {}

  def add_image(self, pixels: np.ndarray) -> None:
    """Add the samples of an image, [height, width, channels] uint8 or uint16."""
    height, width, channels = pixels.shape
    mean, deviation = _mean_and_deviation(pixels)
    number = height * width
    zeros = np.zeros([channels])
    self.image_sizes[height, width] += 1
    self.bits = max(self.bits, 8 * pixels.itemsize)
    self.num_pixels[channels] += number
    self.sums[channels] = self.sums.get(channels, zeros) + number * mean
    self.squares[channels] = self.squares.get(channels, zeros) + number * (mean**2 + deviation**2)

  def add_objects(
    self,
    labels: Sequence[int],
    box_sizes: Sequence[tuple[float, float]],
    masks: Iterable[np.ndarray],
  ) -> None:
    """Add the objects of an image that are no crowd regions.

    Args:
      labels: label of each object.
      box_sizes: width and height of each box in pixels.
      masks: [height, width] bitmap of each object; none if there are no masks.
    """
    self.images_by_label.update(set(labels))
    self.instances_by_label.update(labels)
    self.objects_per_image[len(labels)] += 1
    self.box_areas += [width * height for width, height in box_sizes]
    self.mask_areas += [int(np.count_nonzero(mask)) for mask in masks]

  def to_json(self) -> dict[str, Any]:
    """The collected values as JSON, for `from_json`."""
    counters = ('images_by_label', 'instances_by_label', 'objects_per_image', 'num_pixels')
    return {
      **{name: sorted(getattr(self, name).items()) for name in counters},
      'image_sizes': sorted([*size, count] for size, count in self.image_sizes.items()),
      'box_areas': self.box_areas,
      'mask_areas': self.mask_areas,
      'num_selected_images': self.num_selected_images,
      'bits': self.bits,
      'sums': [[key, value.tolist()] for key, value in self.sums.items()],
      'squares': [[key, value.tolist()] for key, value in self.squares.items()],
    }

  def add_json(self, content: dict[str, Any]) -> None:
    """Add the values of another collector, as `to_json` returned them."""
    for name in ('images_by_label', 'instances_by_label', 'objects_per_image', 'num_pixels'):
      getattr(self, name).update(dict(map(tuple, content[name])))
    self.image_sizes.update({(h, w): count for h, w, count in content['image_sizes']})
    self.box_areas += content['box_areas']
    self.mask_areas += content['mask_areas']
    self.num_selected_images += content['num_selected_images']
    self.bits = max(self.bits, content['bits'])
    for name in ('sums', 'squares'):
      own = getattr(self, name)
      for key, values in content[name]:
        own[key] = own.get(key, np.zeros([key])) + np.array(values)

  def result(self, num_labels: int) -> DatasetStatistics:
    """The statistics of all images that were added.

    If images have several numbers of channels, mean and deviation are those of the most frequent
    number.

    Args:
      num_labels: number of classes.
    """
    channels = self.num_pixels.most_common(1)[0][0]
    mean = self.sums[channels] / self.num_pixels[channels]
    variance = self.squares[channels] / self.num_pixels[channels] - mean**2
    labels = range(1, num_labels + 1)
    sizes = sorted(_few_sizes(self.image_sizes).items(), key=lambda item: (-item[1], item[0]))
    return DatasetStatistics(
      images_by_category=tuple(self.images_by_label[label] for label in labels),
      instances_by_category=tuple(self.instances_by_label[label] for label in labels),
      image_sizes=tuple((height, width, count) for (height, width), count in sizes),
      objects_per_image=tuple(sorted(self.objects_per_image.items())),
      box_sides=_quantiles(np.sqrt(self.box_areas)),
      mask_areas=_quantiles(np.array(self.mask_areas, np.float64)),
      num_channels=channels,
      bits=self.bits,
      channel_mean=_rounded(mean),
      channel_stddev=_rounded(np.sqrt(np.maximum(variance, 0))),
      num_selected_images=self.num_selected_images,
    )


def _few_sizes(sizes: Mapping[tuple[int, int], int]) -> Mapping[tuple[int, int], int]:
  """The sizes, with sides rounded up as little as `_MAX_SIZES` needs."""
  step, few = 1, sizes
  while len(few) > _MAX_SIZES:
    step *= 2
    rounded: collections.Counter[tuple[int, int]] = collections.Counter()
    for (height, width), number in sizes.items():
      rounded[-(-height // step) * step, -(-width // step) * step] += number
    few = rounded
  return few


def _mean_and_deviation(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Mean and standard deviation of each channel."""
  channels = pixels.shape[2]
  parts = [
    cv2.meanStdDev(np.ascontiguousarray(pixels[..., first : first + _MAX_CV_CHANNELS]))
    for first in range(0, channels, _MAX_CV_CHANNELS)
  ]
  mean, deviation = (np.concatenate([part[index] for part in parts])[:, 0] for index in (0, 1))
  return mean, deviation


def _quantiles(values: np.ndarray) -> tuple[float, ...]:
  return _rounded(np.quantile(values, QUANTILES)) if values.size else ()


def _rounded(values: np.ndarray) -> tuple[float, ...]:
  """Numbers with six digits after the point, so that files of equal data are equal."""
  return tuple(round(float(value), 6) for value in values)
