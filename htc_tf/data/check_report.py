"""Counts of what the converter found in a data set, and their description in words."""

import collections
from collections.abc import Iterable, Sequence
from typing import Any

_DESCRIPTIONS = {
  'other_file': 'files of another kind among the annotations (not read)',
  'annotation_file_unusable': 'files of annotations or masks that cannot be read, or have another '
  'size than their image (dropped with their images)',
  'unannotated_image': 'image files without annotations (not used)',
  'image_without_label_file': 'images without a label file (kept as images without instances)',
  'picture_without_map': 'pictures with boxes alone beside others with masks (not used; see '
  '--no_masks and --boxes_as_masks)',
  'other_split': 'images of other splits than --split (not used)',
  'split_joined': 'splits of the data set that are read together (--split and --prefix read one)',
  'class_attribute': 'attributes that hold the class (found by name and use; see '
  '--class_attribute)',
  'class_assumed': 'data sets without names of classes (one class; see --class_name)',
  'shape_without_area': 'lines and points (dropped)',
  'shape_unknown': 'shapes of an unknown kind (dropped)',
  'shape_unusable': 'shapes without usable points, or without a pixel (dropped)',
  'shape_without_class': 'shapes without a class, or of one that is not listed (dropped)',
  'shape_not_annotated': 'regions that are no objects, such as road and sky (not instances)',
  'shape_repeated': 'shapes that repeat another one of the same class (dropped)',
  'shape_hidden': 'objects completely covered by others (dropped)',
  'shapes_grouped': 'objects of several shapes with the same group (joined)',
  'rectangle_as_mask': 'rectangles among the shapes (their area is taken as the mask)',
  'ellipse_as_polygon': 'circles and ellipses (taken as polygons)',
  'mask_empty': 'masks without a pixel (images without that object)',
  'mask_map_binary': 'instance maps with a single value for all objects (taken as one object)',
  'box_as_mask': 'annotations with a box alone (the box is taken as the mask)',
  'crowd_as_instance': 'crowd regions taken as instances',
  'category_id_of_train': 'categories with ids as in the records train of the same folder',
  'class_renamed': 'categories renamed, or joined with another one',
  'class_not_chosen': 'annotations of other classes than --classes (not used)',
  'text_encoding': 'encodings of the file other than UTF-8, such as a byte-order mark (read)',
  'number_as_text': 'numbers written as text (read)',
  'integer_as_float': 'whole numbers written as floats (read)',
  'bad_category': 'categories without a usable id (dropped)',
  'category_without_name': 'categories without a name (named by their id)',
  'category_name_form': 'names of categories that are numbers or not Unicode (read as text)',
  'duplicate_category': 'repeated categories (dropped)',
  'bad_image': 'image entries without a usable id or file name (dropped)',
  'image_without_size': 'images without height and width that cannot be read (dropped)',
  'file_name_from_url': 'image entries without a file name (taken from the URL)',
  'size_read_from_image': 'image entries without height and width (read from the image)',
  'size_unknown': 'image entries without height and width (taken from the predictions)',
  'text_ids_numbered': 'sections with ids that are text or very large (numbered from 1)',
  'images_without_instances': 'images without any instance (kept)',
  'crowd_regions': 'crowd regions (kept, ignored in training and evaluation)',
  'repeated_file': 'image entries with the file of another entry (kept)',
  'file_name_form': 'file names with accents in another Unicode form (found)',
  'missing_image': 'images whose file is missing (dropped)',
  'unreadable_image': 'images that are empty or cannot be decoded (dropped)',
  'image_size_mismatch': 'images whose size differs from the annotation (dropped)',
  'exif_applied': 'images turned upright by their EXIF orientation',
  'exif_not_applied': 'images with an EXIF orientation that are not turned (see --exif)',
  'other_channels': 'images with other channels or another depth than the first one (dropped)',
  'image_converted': 'images converted to 8-bit RGB PNG',
  'image_reduced': 'images reduced to 8-bit RGB, of 16 bits or with further channels such as alpha '
  '(--channels=keep keeps them)',
  'image_nearly_black': 'images that are nearly black, such as samples of 12 bits in files of 16 '
  '(scale them to 0..65535, or keep 16 bits by --channels=keep)',
  'image_encoded': 'images encoded anew as PNG or NPY, with the same samples',
  'duplicate_image': 'repeated image entries (dropped)',
  'bad_annotation': 'annotation entries that are no objects (dropped)',
  'image_dropped': 'annotations of dropped images (dropped)',
  'unknown_image_id': 'annotations with an unknown image id (dropped)',
  'unknown_category_id': 'annotations with an unknown category id (dropped)',
  'duplicate_annotation': 'repeated annotations (dropped)',
  'annotation_id_renumbered': 'annotations with an unusable id (replaced by a new one)',
  'bad_box': 'annotations without a box of four finite numbers (dropped)',
  'box_outside': 'boxes completely outside the image or without area (dropped)',
  'box_from_mask': 'annotations without a usable box (taken from the mask)',
  'box_is_xyxy': 'boxes that fit their masks as x1, y1, x2, y2 (kept as x, y, width, height)',
  'box_is_relative': 'boxes that fit their masks as shares 0..1 of the image (kept)',
  'box_unlike_mask': 'boxes that do not fit their masks (kept)',
  'bad_iscrowd': 'annotations with an unclear iscrowd (taken as no crowd)',
  'iscrowd_form': 'iscrowd written as text, float, null, true or false (read)',
  'iscrowd_missing': 'annotations without iscrowd (taken as no crowd)',
  'segmentation_flat': 'polygons written as one flat list without inner brackets (read)',
  'segmentation_pairs': 'segmentations with polygons written as [x, y] pairs (read)',
  'segmentation_wrapped': 'segmentations with a list too many, as around run lengths (read)',
  'polygon_outside': 'segmentations that cross the image border (the part inside is used)',
  'box_clipped': 'boxes that cross the image border (clipped)',
  'empty_segmentation': 'annotations without a usable polygon (dropped)',
  'bad_rle': 'run-length masks that do not fit their image (dropped)',
  'polygon_removed': 'usable annotations with degenerate polygons (polygons removed)',
  'empty_mask': 'annotations whose mask covers no pixel (dropped)',
  'area_filled': 'annotations without a positive area (computed)',
  'category_ids_mapped': 'categories with ids other than 1..K (mapped to labels 1..K)',
  'image_tiled': 'images cut into tiles',
  'tile_empty': 'tiles without an object (kept; see --drop_empty_tiles)',
  'tile_dropped': 'tiles without an object (left out)',
  'tile_part': 'objects cut by the border of a tile (the visible part is an instance)',
  'tile_part_ignored': 'parts of objects below --tile_min_visible (ignored regions of their tile)',
  'missing_stuff_map': 'images whose stuff map is missing (dropped)',
  'repeated_stuff_map': 'images with the stuff map of another image (kept)',
  'stuff_map_unusable': 'stuff maps that are unreadable or of another size (all pixels ignored)',
  'stuff_map_binary': 'stuff maps with only 0 and 255 (255 means ignored, so only 0 is trained)',
  'stuff_map_colored': 'stuff maps with colors instead of labels (all pixels ignored)',
  'semantic_label_out_of_range': 'stuff maps with labels out of range (those pixels ignored)',
}

_DROPPED_IMAGES = (
  'annotation_file_unusable',
  'bad_image',
  'image_without_size',
  'duplicate_image',
  'missing_image',
  'unreadable_image',
  'image_size_mismatch',
  'other_channels',
  'missing_stuff_map',
)
# What a reader of a format drops before the content of a COCO file exists.
DROPPED_SHAPES = (
  'shape_without_area',
  'shape_unknown',
  'shape_unusable',
  'shape_without_class',
  'shape_repeated',
  'shape_hidden',
)
_DROPPED_ANNOTATIONS = (
  *DROPPED_SHAPES,
  'bad_annotation',
  'image_dropped',
  'unknown_image_id',
  'unknown_category_id',
  'duplicate_annotation',
  'bad_box',
  'box_outside',
  'empty_segmentation',
  'bad_rle',
  'empty_mask',
)


class CheckReport:
  """Number of findings per check, with a few examples.

  Attributes:
    counts: number of findings by name of the check, a key of `_DESCRIPTIONS`.
    examples: up to `MAX_EXAMPLES` examples by name of the check.
  """

  MAX_EXAMPLES = 3

  def __init__(self) -> None:
    self.counts: dict[str, int] = collections.Counter()
    self.examples: dict[str, list[str]] = collections.defaultdict(list)

  def add(self, check: str, example: str = '') -> None:
    """Count one finding.

    Args:
      check: name of the check.
      example: name of the image, annotation or category that the check found.
    """
    self.counts[check] += 1
    if example and len(self.examples[check]) < self.MAX_EXAMPLES:
      self.examples[check].append(example.encode(errors='backslashreplace').decode())

  def add_dropped(self, annotations: Sequence[dict[str, Any]]) -> None:
    """Count the annotations of an image that is dropped."""
    for annotation in annotations:
      self.add('image_dropped', f'annotation {annotation["id"]}')

  def merge(self, counts: dict[str, int], examples: dict[str, list[str]]) -> None:
    """Add the findings of another report."""
    for check, count in counts.items():
      self.counts[check] += count
    for check, names in examples.items():
      self.examples[check] = (self.examples[check] + names)[: self.MAX_EXAMPLES]

  def dropped_annotations(self) -> dict[str, int]:
    """Number of dropped annotations by the description of the reason, the most frequent first."""
    return self._dropped(_DROPPED_ANNOTATIONS)

  def dropped_images(self) -> dict[str, int]:
    """Number of dropped images by the description of the reason, the most frequent first."""
    return self._dropped(_DROPPED_IMAGES)

  def _dropped(self, checks: Sequence[str]) -> dict[str, int]:
    counts = {check: self.counts[check] for check in checks if self.counts[check]}
    ordered = sorted(counts, key=counts.__getitem__, reverse=True)
    return {_DESCRIPTIONS[check].removesuffix(' (dropped)'): counts[check] for check in ordered}

  def lines(self) -> Iterable[str]:
    """One readable line for each check that found something."""
    for check, description in _DESCRIPTIONS.items():
      if self.counts[check]:
        names = self.examples[check]
        suffix = f': e.g. {", ".join(names)}' if names else ''
        yield f'{self.counts[check]:8d} {description}{suffix}'

  def to_json(self) -> dict[str, int]:
    """The counts that are not zero, in the order of `_DESCRIPTIONS`."""
    return {check: self.counts[check] for check in _DESCRIPTIONS if self.counts[check]}
