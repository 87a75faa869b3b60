"""What a conversion reads: annotations of any format, cleaned, and the images that can be read.

The stages are: a reader of the format gives the content of a COCO instances file; options change
it; it is cleaned; classes are chosen; large images become tiles.
"""

import dataclasses
import functools
from typing import NamedTuple

from htc_tf.data import (
  class_ids,
  class_selection,
  coco_annotations,
  content_changes,
  conversion_checks,
  conversion_outputs,
  image_limits,
  image_paths,
  tiles,
  usable_images,
)
from htc_tf.data.check_report import DROPPED_SHAPES
from htc_tf.data.coco_annotations import CocoAnnotations, Entry
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.dataset_info import SemanticInfo
from htc_tf.data.formats import panoptic, registry
from htc_tf.data.formats.annotation_source import AnnotationSource
from htc_tf.data.images import IGNORED_LABEL, UnreadableImageError, read_image
from htc_tf.errors import DataError


class Source(NamedTuple):
  """A data set that can be converted.

  Attributes:
    annotations: cleaned annotations.
    images: entries of the images that can be read, or of tiles of them.
    options: the options with the image folder, semantic source and number of semantic classes that
      were found.
    format: name of the format of the annotations.
  """

  annotations: CocoAnnotations
  images: list[Entry]
  options: ConversionOptions
  format: str


def read(options: ConversionOptions) -> Source:
  """The annotations of a conversion, cleaned and checked, and the images that can be read.

  Raises:
    ConfigError: an output would overwrite the annotations, or an option names an unknown class.
    DataError: the data set cannot be used; the message gives the reason.
  """
  conversion_outputs.protect_inputs(options)
  source = class_ids.as_in_training_records(registry.read(options), options)
  options = _resolved(options, source)
  annotations = class_selection.select(_cleaned(options, source), options.classes, options.renames)
  options = _with_semantic_source(options, annotations)
  semantic_info(options, annotations)
  images = usable_images.select(options, annotations)
  conversion_checks.check_trainable(options, annotations, images)
  if options.tile_size:
    images, of_image = tiles.cut(
      images, annotations.annotations, _tile_options(options), annotations.report
    )
    annotations = dataclasses.replace(annotations, annotations=of_image)
    conversion_checks.check_trainable(options, annotations, images)
  return Source(annotations, images, options, source.format)


def semantic_info(options: ConversionOptions, annotations: CocoAnnotations) -> SemanticInfo | None:
  """The description of the semantic maps, or None.

  Args:
    options: options with the semantic source that was found.
    annotations: cleaned annotations.

  Raises:
    DataError: there are too many classes, or the background has no label of its own.
  """
  if options.semantic == 'none':
    return None
  if options.semantic != 'instances':
    return SemanticInfo(options.semantic, options.num_semantic_classes)
  num_objects = len(annotations.classes)
  background = options.semantic_background
  num_classes = num_objects if background == IGNORED_LABEL else num_objects + 1
  if num_classes > 255:
    raise DataError(
      'There are too many categories for a semantic map made from instances',
      expected='at most 254',
      got=str(num_objects),
      likely_cause='a large-vocabulary data set; use --semantic none',
    )
  if num_objects < background < IGNORED_LABEL:
    raise DataError(
      'The label of the background leaves a gap',
      expected=f'0 to {num_objects}, or 255 to ignore the background',
      got=f'--semantic_background={background} with {num_objects} classes',
    )
  return SemanticInfo('instances', num_classes)


def needs_masks(options: ConversionOptions) -> bool:
  """Whether annotations need masks, for the records or for the semantic map."""
  return options.include_masks or options.semantic == 'instances'


def _resolved(options: ConversionOptions, source: AnnotationSource) -> ConversionOptions:
  """The options with what the annotations tell."""
  values: dict[str, object] = {'image_folder': source.image_folder}
  if options.semantic == 'auto' and source.panoptic_folder:
    values['semantic'] = 'panoptic'
  if values.get('semantic', options.semantic) == 'panoptic':
    if not source.panoptic_folder:
      raise DataError(
        'The annotations have no panoptic maps',
        expected='panoptic annotations for --semantic=panoptic',
        got=source.format,
        likely_cause='instances; use --semantic=instances',
      )
    values['stuff_folder'] = source.panoptic_folder
    values['num_semantic_classes'] = len(source.content[panoptic.LABELS_KEY])
  return dataclasses.replace(options, **values)  # type: ignore[arg-type]


def _with_semantic_source(
  options: ConversionOptions, annotations: CocoAnnotations
) -> ConversionOptions:
  """The options with the semantic source that 'auto' stands for."""
  if options.semantic != 'auto':
    return options
  makes_maps = options.include_masks and len(annotations.classes) < IGNORED_LABEL
  return dataclasses.replace(options, semantic='instances' if makes_maps else 'none')


def _cleaned(options: ConversionOptions, source: AnnotationSource) -> CocoAnnotations:
  report = source.report
  num_dropped = sum(report.counts[check] for check in DROPPED_SHAPES)
  content = content_changes.apply(
    source.content, options.boxes_as_masks, options.crowds_as_instances, report
  )
  annotations = coco_annotations.clean_content(
    content,
    options.annotation_file,
    report,
    needs_masks(options),
    size_of=functools.partial(_size_of_image, options),
  )
  return dataclasses.replace(
    annotations,
    num_annotations=annotations.num_annotations + num_dropped,
    num_images=annotations.num_images + report.counts['annotation_file_unusable'],
    digest=source.digest,
  )


def _tile_options(options: ConversionOptions) -> tiles.TileOptions:
  overlap = options.tile_size // 4 if options.tile_overlap < 0 else options.tile_overlap
  return tiles.TileOptions(
    options.tile_size,
    overlap,
    options.tile_min_visible,
    options.drop_empty_tiles,
    needs_masks(options),
  )


def _size_of_image(options: ConversionOptions, image: Entry) -> tuple[int, int] | None:
  """Height and width of an image as its annotations refer to it; None if it cannot be read."""
  path = image_paths.path_inside(options.image_folder, image['file_name'])
  try:
    with image_limits.for_tiles(options.tile_size > 0):
      return read_image(path, upright=options.exif != 'stored').size
  except (UnreadableImageError, OSError, UnicodeError):
    return None
