"""The internal form of annotations, whatever their format: the content of a COCO instances file."""

import dataclasses
import json
import os
from collections.abc import Sequence
from typing import Any

from pycocotools import mask as coco_mask

from htc_tf.data import segmentation as segmentations
from htc_tf.data.annotation_file import Entry
from htc_tf.data.check_report import CheckReport
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.formats import image_sizes, shapes
from htc_tf.data.formats.source_files import SourceFiles
from htc_tf.errors import DataError

_MAX_PIXELS = 2**31 - 1  # pycocotools counts pixels by integers of 32 bits.


@dataclasses.dataclass(frozen=True)
class AnnotationSource:
  """Annotations of one of the formats in the internal form.

  Attributes:
    format: name of the format for people, such as 'a LabelMe folder'.
    content: content of a COCO instances file: images, annotations and categories.
    image_folder: folder that the file names of the images are relative to.
    digest: a hash of all annotation files that were read.
    report: what was corrected or dropped while reading.
    panoptic_folder: folder of the panoptic maps that image entries name; '' without them.
  """

  format: str
  content: Entry
  image_folder: str
  digest: str
  report: CheckReport
  panoptic_folder: str = ''


class ContentBuilder:
  """A builder of the internal form; images and annotations are numbered in their order.

  Args:
    files: the annotation files, whose report gets the findings.
    image_folder: folder of the images.
    options: options of the conversion; `exif` says whether annotations refer to images turned
      upright by their EXIF orientation.
  """

  def __init__(self, files: SourceFiles, image_folder: str, options: ConversionOptions):
    self._files = files
    self._report = files.report
    self._folder = image_folder
    self._upright = options.exif != 'stored'
    self._images: list[Entry] = []
    self._annotations: list[Entry] = []
    self._used: dict[str, None] = {}
    self._seen: set[int] = set()
    self._dropped: set[int] = set()

  def add_image(self, name: str, size: tuple[int, int] | None = None, **values: Any) -> Entry:
    """A new image entry.

    Args:
      name: file name relative to the image folder.
      size: height and width according to the annotations; None reads the header of the image.
      **values: further values of the entry.

    Returns:
      The entry; it has no `height` and `width` if the size is unknown.
    """
    entry: Entry = {'id': len(self._images) + 1, 'file_name': name, **values}
    if size is None or min(size) < 1 or size[0] * size[1] > _MAX_PIXELS:
      size = image_sizes.size_of(os.path.join(self._folder, name), self._upright)
    if size:
      entry.update(height=size[0], width=size[1])
    self._images.append(entry)
    return entry

  def drop_image(self, image: Entry, example: str) -> None:
    """Drop an image with its objects: without all of them, it would be trained as background.

    Args:
      image: entry of the image.
      example: the annotation file that cannot be read.
    """
    self._report.add('annotation_file_unusable', example)
    self._dropped.add(image['id'])

  def add_polygons(
    self, image: Entry, category: str, polygons: Sequence[shapes.Polygon], **values: Any
  ) -> None:
    """Add an object of polygons; one without a usable polygon is counted as dropped.

    Args:
      image: entry of the image.
      category: name of the category.
      polygons: polygons of finite numbers.
      **values: further values of the entry, such as `iscrowd`.
    """
    usable, _ = segmentations.clean(list(polygons), 1, 1)
    if not isinstance(usable, list):
      self._report.add('shape_unusable', f'{category} in {image["file_name"]}')
      return
    entry = {'segmentation': usable, 'bbox': shapes.bounds(usable)}
    if 'height' in image:
      area = segmentations.area(usable, image['height'], image['width'])
      entry |= {'area': area} if area else {}
    self._add(image, category, {**entry, **values})

  def add_runs(self, image: Entry, category: str, runs: dict[str, Any], **values: Any) -> None:
    """Add an object of compressed run lengths; an empty mask is counted as dropped.

    Args:
      image: entry of the image.
      category: name of the category.
      runs: result of `mask_codec.encode`.
      **values: further values of the entry, such as `iscrowd`.
    """
    area = int(coco_mask.area(runs))
    if not area:
      self._report.add('shape_unusable', f'{category} in {image["file_name"]}')
      return
    box = coco_mask.toBbox(runs).tolist()
    self._add(image, category, {'segmentation': runs, 'bbox': box, 'area': area, **values})

  def add_box(self, image: Entry, category: str, box: Sequence[float]) -> None:
    """Add an object with a box x, y, width, height, and no mask."""
    values = {'segmentation': [], 'bbox': list(box), 'area': box[2] * box[3]}
    self._add(image, category, values)

  def _add(self, image: Entry, category: str, values: Entry) -> None:
    key = hash((image['id'], category, json.dumps([values['segmentation'], values['bbox']])))
    if key in self._seen:
      self._report.add('shape_repeated', f'{category} in {image["file_name"]}')
      return
    self._seen.add(key)
    self._used[category] = None
    entry = {'id': len(self._annotations) + 1, 'image_id': image['id'], 'category': category}
    self._annotations.append({**entry, 'iscrowd': 0, **values})

  def source(self, format_name: str, categories: Sequence[str] = ()) -> AnnotationSource:
    """All images and annotations in the internal form.

    Args:
      format_name: name of the format for people.
      categories: names in the order of their ids 1..K; others follow in alphabetic order.

    Raises:
      DataError: there is no image, or none of a known size, or no category.
    """
    content = self._content(categories)
    return AnnotationSource(format_name, content, self._folder, self._files.digest(), self._report)

  def _content(self, categories: Sequence[str]) -> Entry:
    names = list(dict.fromkeys([*categories, *sorted(self._used)]))
    images = [image for image in self._images if image['id'] not in self._dropped]
    for section, entries in (('image', images), ('object', names)):
      if not entries:
        raise DataError(
          f'{self._files.path} has no {section}',
          expected='at least one image with an object',
          got='; '.join(line.strip() for line in self._report.lines()) or 'none',
          likely_cause='an unfinished annotation, or another folder',
        )
    if not any('height' in image for image in images):
      raise DataError(
        f'No image of {self._files.path} can be read',
        expected=f'images with the names of the annotations in {self._folder}',
        got=f'none, such as {images[0]["file_name"]}',
        likely_cause='images in another folder; give it as --image_folder',
      )
    ids = {name: id_ for id_, name in enumerate(names, 1)}
    annotations = [entry for entry in self._annotations if entry['image_id'] not in self._dropped]
    for entry in annotations:
      entry['category_id'] = ids[entry.pop('category')]
    return {
      'images': images,
      'annotations': annotations,
      'categories': [{'id': id_, 'name': name} for name, id_ in ids.items()],
    }
