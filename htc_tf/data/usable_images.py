"""The images of a data set whose files exist, and counts of what is odd about their files."""

import os

from htc_tf import file_errors
from htc_tf.data import coco_entries, image_paths, stuff_maps
from htc_tf.data.check_report import CheckReport
from htc_tf.data.coco_annotations import CocoAnnotations, Entry
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.errors import DataError


def select(options: ConversionOptions, annotations: CocoAnnotations) -> list[Entry]:
  """The images whose files, and stuff maps if needed, exist.

  Args:
    options: options of the conversion.
    annotations: cleaned annotations; findings are added to their report.

  Raises:
    DataError: a file is missing and `skip_missing_images` is not set, or no image is left.
    InputError: a folder is missing or cannot be entered.
  """
  for folder in filter(None, (options.image_folder, options.stuff_folder)):
    with file_errors.as_input_errors(reading=True):
      os.stat(os.path.join(folder, '.'))  # Otherwise each of its files would count as missing.
  report = annotations.report
  usable = annotations.images
  paths = {
    image['id']: image_paths.path_inside(options.image_folder, image['file_name'])
    for image in usable
  }
  usable = _with_file(usable, paths, 'missing_image', options, annotations)
  _count_repeated(usable, paths, 'repeated_file', report)
  _check_urls(usable, paths, options.annotation_file)
  for image in usable:
    if image_paths.is_other_form(paths[image['id']], image['file_name']):
      report.add('file_name_form', image['file_name'])
  if options.stuff_folder:
    maps = {image['id']: stuff_maps.path_of(options.stuff_folder, image) for image in usable}
    usable = _with_file(usable, maps, 'missing_stuff_map', options, annotations)
    _count_repeated(usable, maps, 'repeated_stuff_map', report)
  return usable


def _count_repeated(
  images: list[Entry], paths: dict[int, str], check: str, report: CheckReport
) -> None:
  first: dict[str, Entry] = {}
  for image in images:
    other = first.setdefault(paths[image['id']], image)
    if other is not image:
      report.add(check, f'{image["file_name"]} of the image ids {other["id"]} and {image["id"]}')


def _check_urls(images: list[Entry], paths: dict[int, str], annotation_file: str) -> None:
  """Raise DataError if entries have the same file and URLs of different files."""
  first: dict[str, str] = {}
  for image in images:
    url = coco_entries.url_path(image)
    known = first.setdefault(paths[image['id']], url) if url else ''
    if known != url:
      raise DataError(
        f'The file name {image["file_name"]!r} in {annotation_file} stands for two files',
        expected='names that differ, with the folder where necessary',
        got=f'{known} and {url}',
        likely_cause='images of several folders in one folder; give each entry its own file_name',
      )


def _with_file(
  images: list[Entry],
  paths: dict[int, str],
  check: str,
  options: ConversionOptions,
  annotations: CocoAnnotations,
) -> list[Entry]:
  """The images with a file; the others are counted with their annotations, or are an error."""
  present: list[Entry] = []
  missing: list[str] = []
  for image in images:
    path = paths[image['id']]
    if os.path.isfile(path):
      present.append(image)
      continue
    missing.append(f'{path} (a broken link)' if os.path.islink(path) else path)
    annotations.report.add(check, missing[-1])
    annotations.report.add_dropped(annotations.annotations[image['id']])
  if missing and not options.skip_missing_images:
    raise DataError(
      f'{len(missing)} of {len(images)} files named by {options.annotation_file} are missing',
      expected='a file for each image',
      got='no ' + ', no '.join(missing[:3]),
      likely_cause='another image folder or split, or an incomplete download; '
      '--skip_missing_images drops them',
    )
  if not present:
    raise DataError(
      'No image is left',
      expected='at least one file of the annotations',
      got=f'no {missing[0]}',
      likely_cause='another image folder',
    )
  return present
