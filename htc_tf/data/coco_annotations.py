"""Reading and cleaning of a COCO annotation file, for conversion and evaluation.

A fault that makes the whole data set unusable raises a DataError that names the fault. A single
bad entry is dropped or repaired, and counted.
"""

import dataclasses

from htc_tf.data import box_checks, coco_entries, json_values, left_out
from htc_tf.data import segmentation as segmentations
from htc_tf.data.annotation_file import Entry, read_annotation_file
from htc_tf.data.check_report import CheckReport
from htc_tf.data.coco_entries import SizeReader
from htc_tf.data.dataset_info import Category
from htc_tf.data.value_reader import ValueReader


@dataclasses.dataclass
class CocoAnnotations:
  """A cleaned annotation file.

  Attributes:
    header: top-level entries other than images, annotations and categories.
    categories: category entries with integer ids.
    classes: categories ordered by label; the ids in ascending order have the labels 1..K.
    images: image entries with integer `id`, `height`, `width` and a `file_name`.
    annotations: annotations by image id, in the order of the file; each has a `bbox`, an `area`,
      `iscrowd`, a unique positive `id` and, with masks, a usable `segmentation`.
    num_images: number of image entries in the file.
    num_annotations: number of annotations in the file.
    report: findings, by check.
    digest: a hash of the annotation files; '' if it is unknown.
  """

  header: Entry
  categories: list[Entry]
  classes: tuple[Category, ...]
  images: list[Entry]
  annotations: dict[int, list[Entry]]
  num_images: int
  num_annotations: int
  report: CheckReport
  digest: str = ''


def read_annotations(
  path: str,
  include_masks: bool = True,
  for_evaluation: bool = False,
  size_of: SizeReader | None = None,
) -> CocoAnnotations:
  """The cleaned content of an annotation file.

  Args:
    path: path of the JSON file.
    include_masks: whether an annotation needs a segmentation.
    for_evaluation: whether usable boxes and polygons stay as they are, as pycocotools keeps them.
      For training, boxes are clipped to their image, and polygons without area removed.
    size_of: function from an image entry to height and width of that image, for entries without a
      size; None if the images cannot be read. For an evaluation it is not used.

  Raises:
    DataError: the file is not JSON or has another format, it has no usable image or category, or
      two entries contradict each other.
  """
  report = CheckReport()
  content = read_annotation_file(path, report)
  return clean_content(content, path, report, include_masks, for_evaluation, size_of)


def clean_content(
  content: Entry,
  path: str,
  report: CheckReport,
  include_masks: bool = True,
  for_evaluation: bool = False,
  size_of: SizeReader | None = None,
) -> CocoAnnotations:
  """The cleaned form of the content of an annotation file.

  Args:
    content: content of a COCO instances file.
    path: path of the annotations, for messages.
    report: counts of the findings.
    include_masks: see `read_annotations`.
    for_evaluation: see `read_annotations`.
    size_of: see `read_annotations`.

  Raises:
    DataError: it has no usable image or category, or two entries contradict each other.
  """
  entries = coco_entries.normalize(content, path, report, size_of, for_evaluation)
  rule = None if for_evaluation else left_out.Rule(entries.annotations)
  cleaner = _Cleaner(report, include_masks, for_evaluation, rule)
  annotations = _clean_annotations(entries, cleaner, report)
  header = {
    key: value
    for key, value in content.items()
    if key not in ('images', 'annotations', 'categories')
  }
  return CocoAnnotations(
    header,
    entries.categories,
    classes_of(entries.categories, report),
    entries.images,
    annotations,
    entries.num_images,
    entries.num_annotations,
    report,
  )


def classes_of(categories: list[Entry], report: CheckReport) -> tuple[Category, ...]:
  """The classes of cleaned category entries, ordered by label.

  Args:
    categories: entries with integer ids and names.
    report: counts of the ids that differ from their labels.
  """
  ordered = sorted(categories, key=lambda entry: entry['id'])
  classes = tuple(
    Category(entry['id'], entry['name'], label) for label, entry in enumerate(ordered, start=1)
  )
  for category in classes:
    if category.id != category.label:
      report.add('category_ids_mapped', f'{category.id} ({category.name}) -> {category.label}')
  return classes


class _AnnotationIds:
  """The ids of the annotations read so far, and new ids for annotations without a usable one.

  The id 0 is not usable: pycocotools stores the id of the annotation that a detection matches, and
  0 means "not matched".

  Args:
    entries: all annotations of the file.
  """

  def __init__(self, entries: list[Entry]):
    self._seen: set[int] = set()
    known = (json_values.integer(entry.get('id')) for entry in entries)
    self._next = max(max((id_ for id_ in known if id_ is not None), default=0) + 1, 1)

  def take(self, id_: int | None) -> bool:
    """Whether the id is a positive integer that is still free; if so, it is taken now."""
    if id_ is None or id_ <= 0 or id_ in self._seen:
      return False
    self._seen.add(id_)
    return True

  def new(self) -> int:
    """An id that no annotation of the file has."""
    self._next += 1
    return self._next - 1


def _clean_annotations(
  entries: coco_entries.CocoEntries, cleaner: '_Cleaner', report: CheckReport
) -> dict[int, list[Entry]]:
  images = {image['id']: image for image in entries.images}
  kept: dict[int, list[Entry]] = {id_: [] for id_ in images}
  originals: dict[int, Entry] = {}
  unusable: set[int] = set()  # Images with an annotation that is dropped.
  reader = ValueReader(report)
  ids = _AnnotationIds(entries.annotations)
  for entry in entries.annotations:
    id_ = reader.integer(entry.get('id'), 'id of an annotation')
    original = entry if id_ is None else originals.setdefault(id_, entry)
    if original is not entry and original == entry:
      report.add('duplicate_annotation', f'annotation {id_}')
      continue
    cleaned = cleaner.clean(entry, images[entry['image_id']])
    if cleaned is None:
      unusable.add(entry['image_id'])
      continue
    if ids.take(id_):
      cleaned['id'] = id_
    else:
      report.add('annotation_id_renumbered', f'annotation {entry.get("id")}')
      cleaned.update(id=ids.new(), original_id=entry.get('id'))
    kept[entry['image_id']].append(cleaned)
  for id_ in unusable:
    if not kept[id_]:
      images[id_][left_out.ANNOTATED] = True
  return kept


class _Cleaner:
  """Cleaning of single annotations.

  Args:
    report: counts of the findings.
    include_masks: whether an annotation needs a segmentation.
    for_evaluation: whether usable boxes and polygons stay as they are.
    rule: rule by which annotations are marked that the published trainings leave out; None to mark
      none.
  """

  def __init__(
    self,
    report: CheckReport,
    include_masks: bool,
    for_evaluation: bool,
    rule: left_out.Rule | None,
  ):
    self._report = report
    self._reader = ValueReader(report)
    self._include_masks = include_masks
    self._for_evaluation = for_evaluation
    self._rule = rule

  def clean(self, entry: Entry, image: Entry) -> Entry | None:
    """A repaired copy of an annotation, or None if nothing usable remains."""
    name = f'annotation {entry.get("id")}'
    segmentation, check = self._segmentation(entry, image, name)
    if self._include_masks and segmentation is None:
      self._report.add(check or 'empty_segmentation', name)
      return None
    if self._include_masks and check:
      self._report.add(check, name)
    is_crowd = self._reader.is_crowd(entry, name)
    box = self._box(entry, segmentation, image, name, bool(is_crowd))
    if box is None:
      return None
    cleaned = {key: value for key, value in entry.items() if key != 'segmentation'}
    if segmentation is not None:
      cleaned['segmentation'] = segmentation
    area = self._area(entry, segmentation, box, image, name)
    if self._rule is not None and self._rule.leaves_out(entry, image):
      cleaned[left_out.LEFT_OUT] = 1
    return {**cleaned, 'bbox': box, 'iscrowd': is_crowd, 'area': area}

  def _area(
    self,
    entry: Entry,
    segmentation: segmentations.Segmentation | None,
    box: box_checks.Box,
    image: Entry,
    name: str,
  ) -> float:
    area = self._reader.number(entry.get('area'), f'area of {name}')
    if area is not None and area > 0:
      return area
    self._report.add('area_filled', name)
    if self._include_masks and segmentation is not None:
      return segmentations.area(segmentation, image['height'], image['width'])
    return box[2] * box[3]

  def _segmentation(
    self, entry: Entry, image: Entry, name: str
  ) -> tuple[segmentations.Segmentation | None, str | None]:
    """The usable part of the segmentation, and the check that found a fault."""
    found, forms = segmentations.normalize(entry.get('segmentation'))
    size = (image['height'], image['width'])
    segmentation, check = segmentations.clean(found, *size, keep_flat=self._for_evaluation)
    if segmentation is not None:
      for form in forms:
        self._report.add(form, f'segmentation of {name}')
      if segmentations.reaches_outside(segmentation, *size):
        self._report.add('polygon_outside', name)
    return segmentation, check

  def _box(
    self,
    entry: Entry,
    segmentation: segmentations.Segmentation | None,
    image: Entry,
    name: str,
    is_crowd: bool,
  ) -> box_checks.Box | None:
    """The box of an annotation; that of its mask if it has no usable one; None without either."""
    box, check = self._reader.box(entry.get('bbox'), name), 'bad_box'
    if box is not None and (min(box[2:]) <= 0 or self._clipped(box, image) is None):
      box, check = None, 'box_outside'
    if box is None and segmentation is not None:
      box = segmentations.bounds(segmentation)
      check = 'box_outside'
      if self._clipped(box, image) is not None:
        self._report.add('box_from_mask', name)
    elif box is not None and segmentation is not None and self._include_masks and not is_crowd:
      mask_box = box_checks.within(segmentations.bounds(segmentation), image)
      misfit = mask_box and box_checks.misfit(box, mask_box, image)
      if misfit:
        self._report.add(misfit, name)
    clipped = box and self._clipped(box, image)
    if not clipped:
      self._report.add(check, name)
      return None
    if clipped != box:
      self._report.add('box_clipped', name)
    return clipped

  def _clipped(self, box: box_checks.Box, image: Entry) -> box_checks.Box | None:
    """The box as it is used, or None if it has no area."""
    if self._for_evaluation:
      return box if min(box[2:]) > 0 else None
    return box_checks.within(box, image)
