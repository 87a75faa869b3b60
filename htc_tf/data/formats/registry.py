"""The formats of annotations, and which of them a file or folder has."""

import collections
import os
import posixpath
from collections.abc import Callable
from typing import NamedTuple

from htc_tf import file_errors
from htc_tf.data import coco_entries
from htc_tf.data.check_report import CheckReport
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.formats import (
  cityscapes,
  coco,
  cvat,
  labelme,
  labelme3,
  mask_files,
  masks,
  panoptic,
  via,
  voc,
  yolo,
)
from htc_tf.data.formats.annotation_source import AnnotationSource
from htc_tf.data.formats.source_files import SourceFiles, count_joined
from htc_tf.errors import DataError


class Format(NamedTuple):
  """A format of annotations.

  Attributes:
    name: name for people.
    recognize: function that tells whether files have the format.
    read: function that reads them.
  """

  name: str
  recognize: Callable[[SourceFiles], bool]
  read: Callable[[SourceFiles, ConversionOptions], AnnotationSource]


FORMATS = {
  'coco': Format(coco.NAME, coco.recognize, coco.read),
  'panoptic': Format(panoptic.NAME, panoptic.recognize, panoptic.read),
  'labelme': Format(labelme.NAME, labelme.recognize, labelme.read),
  'via': Format(via.NAME, via.recognize, via.read),
  'cvat': Format(cvat.NAME, cvat.recognize, cvat.read),
  'yolo': Format(yolo.NAME, yolo.recognize, yolo.read),
  'labelme3': Format(labelme3.NAME, labelme3.recognize, labelme3.read),
  'voc': Format(voc.NAME, voc.recognize, voc.read),
  'cityscapes': Format(cityscapes.NAME, cityscapes.recognize, cityscapes.read),
  'masks': Format(masks.NAME, masks.recognize, masks.read),
}
_LAST = 'masks'  # Other formats have folders of masks, too.


def read(options: ConversionOptions) -> AnnotationSource:
  """The annotations that `options.annotation_file` names, a file or a folder, of any format.

  Splits that are read together are counted.

  Args:
    options: options of the conversion; `image_folder` may be empty.

  Raises:
    DataError: the format is unknown or not clear, or nothing in it is usable.
    InputError: a file cannot be read, or the image folder is missing.
  """
  if options.image_folder:
    with file_errors.as_input_errors(reading=True):
      os.stat(os.path.join(options.image_folder, '.'))
  source = _read(options)
  if not options.split and not source.report.counts['split_joined']:
    count_joined(_folders(source), source.report)
  return source


def _folders(source: AnnotationSource) -> set[str]:
  """Names of the folders that images are in, relative to the image folder."""
  entries = source.content.get('images')
  entries = entries if isinstance(entries, list) else []
  named = (coco_entries.file_name(entry) for entry in entries if isinstance(entry, dict))
  paths = {posixpath.dirname(name.replace('\\', '/')) for name in named if name}
  return {part for path in paths for part in path.split('/')}


def _read(options: ConversionOptions) -> AnnotationSource:
  files = SourceFiles(options.annotation_file, CheckReport(), options.output_folder)
  if not files.is_folder and not os.path.isfile(options.annotation_file):
    return coco.read(files, options)  # Its error says what is there.
  if options.annotation_format != 'auto':
    _check_chosen(files, options.annotation_format)
    return FORMATS[options.annotation_format].read(files, options)
  found = [key for key in FORMATS if key != _LAST and FORMATS[key].recognize(files)]
  if not found and (FORMATS[_LAST].recognize(files) or _only_images(files, options)):
    found = [_LAST]
  if len(found) > 1:
    raise DataError(
      f'{files.path} has annotations of several formats',
      expected='one format, or its name as --annotation_format',
      got=', '.join(f'{key} ({FORMATS[key].name})' for key in found),
      likely_cause='the same annotations exported twice; name one of their files or folders',
    )
  if not found and not files.is_folder:
    return coco.read(files, options)  # Its error names what the file is.
  if not found:
    raise _unknown(files)
  return FORMATS[found[0]].read(files, options)


def _check_chosen(files: SourceFiles, chosen: str) -> None:
  """Raise DataError if files cannot have the chosen format; masks may be in any folder."""
  if chosen not in ('coco', _LAST) and not FORMATS[chosen].recognize(files):
    raise DataError(
      f'{files.path} has no annotations of the format {chosen}',
      expected=FORMATS[chosen].name,
      got='files: ' + _counted_files(files),
      likely_cause='another folder, damaged files, or another --annotation_format',
    )


def _only_images(files: SourceFiles, options: ConversionOptions) -> bool:
  """Whether the annotations are a folder of nothing but images, apart from the image folder."""
  is_apart = options.image_folder and not os.path.samefile(options.image_folder, files.folder)
  names = files.of_type(*mask_files.MASK_SUFFIXES)
  return bool(files.is_folder and is_apart and names and len(names) == len(files.names))


def _unknown(files: SourceFiles) -> DataError:
  return DataError(
    f'The format of the annotations in {files.path} is unknown',
    expected='; '.join(format_.name for format_ in FORMATS.values()),
    got='files: ' + _counted_files(files),
    likely_cause='another folder, or annotations of another tool; export them as COCO',
  )


def _counted_files(files: SourceFiles) -> str:
  """The number of files by suffix."""
  suffixes = collections.Counter(posixpath.splitext(name)[1].lower() for name in files.names)
  counted = [f'{number} {suffix or "without suffix"}' for suffix, number in suffixes.most_common(5)]
  return ', '.join(counted) or 'none'
