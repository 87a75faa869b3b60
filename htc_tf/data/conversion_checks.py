"""Checks that a conversion leaves something to train on; the messages name what was found."""

from htc_tf.data.check_report import CheckReport
from htc_tf.data.coco_annotations import CocoAnnotations, Entry
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.errors import DataError

_UNUSABLE_MAPS = ('stuff_map_unusable', 'stuff_map_colored', 'stuff_map_binary')


def check_trainable(
  options: ConversionOptions, annotations: CocoAnnotations, images: list[Entry]
) -> None:
  """Raise DataError if no annotation of the images can be trained.

  Args:
    options: options of the conversion.
    annotations: cleaned annotations.
    images: entries of the images that will be converted.

  Raises:
    DataError: all annotations were dropped, or are crowd regions.
  """
  kept = [entry for image in images for entry in annotations.annotations[image['id']]]
  num_crowds = sum(entry['iscrowd'] for entry in kept)
  if len(kept) > num_crowds:
    return
  raise nothing_to_train(options, annotations.report, annotations.num_annotations, num_crowds)


def nothing_to_train(
  options: ConversionOptions, report: CheckReport, num_annotations: int, num_crowds: int
) -> DataError:
  """The error for a data set without a trainable instance, with the form that was found.

  Args:
    options: options of the conversion.
    report: findings, by check.
    num_annotations: number of annotations in the file.
    num_crowds: number of crowd regions that were kept.
  """
  found = [f'{count} {reason}' for reason, count in report.dropped_annotations().items()]
  if num_crowds:
    found.append(f'{num_crowds} crowd regions')
  cause = 'annotations of other images, or a file without annotations'
  if report.counts['tile_part_ignored']:
    cause = (
      'objects that are large compared with the tiles; give a larger --tile_size or '
      '--tile_overlap, or a smaller --tile_min_visible'
    )
  elif num_crowds:
    cause = (
      'masks exported as crowds, as CVAT does for run lengths; convert them with '
      '--crowds_as_instances, or export polygons'
    )
  elif report.counts['empty_segmentation']:
    cause = (
      'annotations with boxes alone; convert them with --no_masks and without --semantic, or with '
      '--boxes_as_masks'
    )
  elif report.counts['image_dropped']:
    cause = 'images that are missing, cannot be read or have another size; the counts name them'
  elif report.counts['unknown_image_id']:
    cause = 'annotations whose image_id is none of the ids in "images", such as '
    cause += report.examples['unknown_image_id'][0]
  elif report.counts['unknown_category_id']:
    cause = 'annotations whose category_id is none of the ids in "categories", such as '
    cause += report.examples['unknown_category_id'][0]
  return DataError(
    f'No trainable instance is left in {options.annotation_file}',
    expected='at least one annotation with a usable box and mask that is no crowd region',
    got=f'{num_annotations} annotations; ' + (', '.join(found) or 'none of them in an image'),
    likely_cause=cause,
  )


def check_stuff_maps(options: ConversionOptions, report: CheckReport, num_images: int) -> None:
  """Raise DataError if no stuff map has labels to train on.

  Args:
    options: options of the conversion.
    report: findings, by check.
    num_images: number of images that were converted.

  Raises:
    DataError: every stuff map is unreadable, of another size, or has only 0 and 255.
  """
  unusable = {check: report.counts[check] for check in _UNUSABLE_MAPS}
  if not options.stuff_folder or sum(unusable.values()) < num_images:
    return
  check = max(unusable, key=unusable.__getitem__)
  raise DataError(
    f'No stuff map in {options.stuff_folder} is usable',
    expected='PNG files of one channel and the size of their image, with labels from 0 on, and 255 '
    'for ignored pixels',
    got='; '.join(line.strip() for line in report.lines() if 'stuff maps' in line),
    likely_cause='masks with 255 for the object; write 1 instead'
    if check == 'stuff_map_binary'
    else 'colored maps, or the maps of other images',
  )
