"""Writing of one shard of records, the task of a worker process of a conversion."""

import dataclasses
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from htc_tf import file_errors, files, processes
from htc_tf.data import (
  image_limits,
  image_paths,
  images,
  kept_channels,
  left_out,
  record_example,
  tiles,
)
from htc_tf.data.check_report import CheckReport
from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.data.semantic_maps import MapOptions, SemanticMaps
from htc_tf.data.statistics import StatisticsCollector
from htc_tf.errors import DataError

Entry = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class RecordOptions:
  """Options of the records of a conversion.

  Attributes:
    image_folder: folder of the images.
    labels: class label by category id.
    include_masks: whether to store instance masks.
    maps: where semantic maps come from.
    skip_missing_images: whether unreadable images are dropped instead of ending the conversion.
    upright: whether annotations refer to upright images where the annotated size does not tell.
    size_decides: whether the annotated size decides, where it tells, instead of `upright`.
    sample_format: channels and depth that all images must have, which are kept; None if images of
      every kind are converted to RGB of 8 bits.
    cuts_tiles: whether larger images are cut into tiles, so that they may have more pixels.
  """

  image_folder: str
  labels: dict[int, int]
  include_masks: bool
  maps: MapOptions
  skip_missing_images: bool
  upright: bool = True
  size_decides: bool = True
  sample_format: SampleFormat | None = None
  cuts_tiles: bool = False

  @property
  def needs_masks(self) -> bool:
    """Whether bitmaps are needed, for the records or for the semantic map."""
    return self.include_masks or self.maps.source == 'instances'


@dataclasses.dataclass(frozen=True)
class ShardTask:
  """One shard to write.

  Attributes:
    path: final name of the shard.
    state_path: path of the state file, which holds the `ShardResult` once the shard is complete.
    fingerprint: fingerprint of the inputs of the whole conversion.
    items: image entries and their cleaned annotations.
    options: options of the records.
  """

  path: str
  state_path: str
  fingerprint: str
  items: list[tuple[Entry, list[Entry]]]
  options: RecordOptions


@dataclasses.dataclass
class ShardResult:
  """Description of a written shard and of the entries that were dropped from it.

  Attributes:
    fingerprint: fingerprint of the inputs of the whole conversion.
    num_bytes: size of the file.
    num_images: number of images in the shard.
    num_instances: number of instances in the shard, crowds included.
    dropped_images: ids of images that were dropped.
    dropped_annotations: ids of annotations that were dropped, except those of dropped images.
    counts: number of findings by check, as in `CheckReport`.
    examples: examples of findings by check, as in `CheckReport`.
    statistics: statistics of the images and objects, as `StatisticsCollector.to_json` gives them.
  """

  fingerprint: str
  num_bytes: int
  num_images: int
  num_instances: int
  dropped_images: list[int]
  dropped_annotations: list[int]
  counts: dict[str, int]
  examples: dict[str, list[str]]
  statistics: dict[str, Any]


def finished_result(task: ShardTask) -> ShardResult | None:
  """The result of a shard that an earlier run finished with the same inputs, else None."""
  try:
    with open(task.state_path, encoding='utf-8') as file:
      result = ShardResult(**json.load(file))
  except (OSError, ValueError, TypeError):
    return None
  complete = os.path.isfile(task.path) and os.path.getsize(task.path) == result.num_bytes
  return result if complete and result.fingerprint == task.fingerprint else None


def write_shard(task: ShardTask) -> ShardResult:
  """Write a shard under a temporary name, rename it, then write its state file.

  Each image is reported by `processes.report_progress`.

  Raises:
    DataError: an image cannot be read, and `skip_missing_images` is not set.
    InputError: the shard cannot be written.
  """
  import tensorflow as tf

  builder = _RecordBuilder(task.options)
  num_images = 0
  limits = image_limits.for_tiles(task.options.cuts_tiles)
  with limits, file_errors.as_input_errors(), files.replaced_when_written(task.path) as temporary:
    with tf.io.TFRecordWriter(temporary) as writer:
      for record in builder.records(task.items):
        writer.write(record)
        num_images += 1
    num_bytes = os.path.getsize(temporary)
  result = ShardResult(
    task.fingerprint,
    num_bytes,
    num_images,
    builder.num_instances,
    builder.dropped_images,
    builder.dropped_annotations,
    dict(builder.report.counts),
    dict(builder.report.examples),
    builder.statistics.to_json(),
  )
  files.write_bytes(task.state_path, json.dumps(dataclasses.asdict(result)).encode())
  return result


def _decodes_to(image: images.EncodedImage, pixels: np.ndarray) -> bool:
  """Whether TensorFlow, which reads the records, decodes a file to the pixels that Pillow found.

  For example, only Pillow accepts a PNG file without an end.
  """
  import tensorflow as tf

  from htc_tf.data import encoded_samples

  try:
    decoded = encoded_samples.decode(tf.constant(image.content), image.sample_format)
    return np.array_equal(decoded, pixels)
  except tf.errors.OpError:
    return False


class _RecordBuilder:
  """A builder of serialized records, which counts instances and findings.

  Args:
    options: options of the records.
  """

  def __init__(self, options: RecordOptions):
    self._options = options
    self.report = CheckReport()
    self._maps = SemanticMaps(options.maps, self.report)
    self._opened: tuple[Any, images.SourceImage] | None = None
    self._pixels: np.ndarray | None = None  # of the opened image
    self.statistics = StatisticsCollector()
    self.num_instances = 0
    self.dropped_images: list[int] = []
    self.dropped_annotations: list[int] = []

  def records(self, items: list[tuple[Entry, list[Entry]]]) -> Iterator[bytes]:
    """Serialized records of the images that can be used."""
    for entry, annotations in items:
      record = self._record(entry, annotations)
      if record is not None:
        yield record
      processes.report_progress()

  def _record(self, entry: Entry, annotations: list[Entry]) -> bytes | None:
    image = self._read_image(entry)
    if image is None:
      self.dropped_images.append(entry['id'])
      self.report.add_dropped(annotations)
      return None
    size = (image.height, image.width)
    instances = self._instances(annotations, size)
    features = record_example.image_features(entry, image)
    features.update(record_example.instance_features(instances, *size, self._options.include_masks))
    if self._options.maps.source != 'none':
      semantic = self._maps.map_of(entry, instances, size)
      features.update(record_example.semantic_features(semantic))
    self._count(entry, image, instances)
    return record_example.serialize(features)

  def _count(
    self,
    entry: Entry,
    image: images.EncodedImage,
    instances: list[record_example.LabeledInstance],
  ) -> None:
    self.num_instances += len(instances)
    if image.converted:
      self.report.add('image_converted' if image.sample_format.is_rgb else 'image_encoded')
    if not instances:
      self.report.add('images_without_instances', entry['file_name'])
    is_annotated = bool(instances or entry.get(left_out.ANNOTATED))
    if left_out.keeps_image(is_annotated, image.height, image.width):
      self.statistics.num_selected_images += 1
    objects = [item for item in instances if not item.annotation['iscrowd']]
    for _ in range(len(instances) - len(objects)):
      self.report.add('crowd_regions')
    self.statistics.add_objects(
      [item.label for item in objects],
      [item.annotation['bbox'][2:] for item in objects],
      [item.mask for item in objects if item.mask is not None],
    )

  def _read_image(self, entry: Entry) -> images.EncodedImage | None:
    """The image, or None if it is dropped."""
    path = image_paths.path_inside(self._options.image_folder, tiles.file_name(entry))
    size = tiles.image_size(entry)
    try:
      source = self._source(path, size if self._options.size_decides else None)
      if self._is_other(path, source):
        return None
      image, pixels = self._encoded(source, entry)
    except (images.UnreadableImageError, OSError) as error:
      if not self._options.skip_missing_images:
        raise DataError(
          f'{path} cannot be read as an image',
          expected='a JPEG, PNG or other image file',
          got=str(error),
          likely_cause='an incomplete download; fetch it again, or drop such images with '
          '--skip_missing_images',
        ) from error
      self.report.add('unreadable_image', f'{entry["file_name"]}: {error}')
      return None
    if source.size != size:
      self.report.add(
        'image_size_mismatch',
        f'{entry["file_name"]} is {source.size[1]}x{source.size[0]}, annotated as '
        f'{size[1]}x{size[0]}',
      )
      return None
    if source.has_orientation:
      self.report.add('exif_applied' if source.turned else 'exif_not_applied', entry['file_name'])
    if self._options.sample_format is None and source.is_reduced:
      self.report.add('image_reduced', entry['file_name'])
    if image.sample_format.is_rgb and source.is_nearly_black(pixels):
      self.report.add('image_nearly_black', entry['file_name'])
    self.statistics.add_image(pixels)
    return image

  def _is_other(self, path: str, source: images.SourceImage) -> bool:
    """Whether an image is dropped because its channels or depth are not those of the data set."""
    expected = self._options.sample_format
    if expected is None or source.sample_format == expected:
      return False
    if not self._options.skip_missing_images:
      raise kept_channels.other_format(path, source.sample_format, expected)
    self.report.add('other_channels', f'{path} has {source.sample_format}')
    return True

  def _source(self, path: str, annotated_hw: tuple[int, int] | None) -> images.SourceImage:
    """The decoded image; the tiles of an image follow each other, so the last one is kept."""
    key = (path, annotated_hw)
    if self._opened is None or self._opened[0] != key:
      self._opened = self._pixels = None  # Two large images need not be held at once.
      self._opened = (key, images.read_image(path, annotated_hw, self._options.upright))
    return self._opened[1]

  def _encoded(
    self, source: images.SourceImage, entry: Entry
  ) -> tuple[images.EncodedImage, np.ndarray]:
    """The image or tile as a file, and its pixels."""
    sample_format = self._options.sample_format or RGB
    if self._pixels is None:  # Tiles share the pixels of their image.
      self._pixels = source.samples(sample_format)
    pixels = self._pixels
    if 'tile' in entry and source.size == tiles.image_size(entry):
      pixels = np.ascontiguousarray(tiles.crop(pixels, entry))
      return images.image_from_pixels(pixels).encoded(sample_format=sample_format), pixels
    image = source.encoded(sample_format=sample_format)
    if not image.converted and not _decodes_to(image, pixels):
      image = source.encoded(may_keep=False, sample_format=sample_format)
    return image, pixels

  def _instances(
    self, annotations: list[Entry], size: tuple[int, int]
  ) -> list[record_example.LabeledInstance]:
    instances = record_example.label_instances(
      annotations, self._options.labels, *size, self._options.needs_masks
    )
    kept = [item for item in instances if item.mask is None or item.mask.any()]
    for item in instances:
      if item.mask is not None and not item.mask.any():
        self.report.add('empty_mask', f'annotation {item.annotation["id"]}')
        self.dropped_annotations.append(item.annotation['id'])
    return kept
