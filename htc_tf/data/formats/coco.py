"""COCO instances files: one JSON file, also within a folder."""

import os

from htc_tf.data import annotation_file, coco_entries
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.formats import image_locations
from htc_tf.data.formats.annotation_source import AnnotationSource
from htc_tf.data.formats.source_files import SourceFiles, is_in_split, stem
from htc_tf.errors import DataError

NAME = 'COCO instances'


def recognize(files: SourceFiles) -> bool:
  """Whether there is a COCO file; a JSON file of an unknown kind that is named counts as one."""
  if files.is_folder:
    return 'coco' in files.json_kinds
  is_known = any(kind != 'coco' for kind in files.json_kinds)
  return bool(files.of_type('.json')) and not is_known


def read(files: SourceFiles, options: ConversionOptions) -> AnnotationSource:
  """The content of the file, as it is; cleaning is left to `coco_annotations`.

  Args:
    files: the annotation files.
    options: options of the conversion.

  Raises:
    DataError: the file is no COCO file, or the folder has several.
  """
  name = one_of_kind(files, 'coco', options.split)
  path = files.absolute(name) if files.is_folder else files.path
  content = files.json(name) if os.path.isfile(path) else None
  if content is None:
    annotation_file.read_annotation_file(path, files.report)  # Its error says why.
  content = annotation_file.checked(content, path)
  folder = options.image_folder or found_folder(files, name, content)
  return AnnotationSource(NAME, content, folder, files.digest(), files.report)


def one_of_kind(files: SourceFiles, kind: str, split: str) -> str:
  """The name of the only JSON file of a kind; of several, the only one of a split.

  Args:
    files: the annotation files.
    kind: kind of the file, see `json_kinds`.
    split: name of a split, such as 'train', in the name of the file or its folder; '' if there is
      none.

  Raises:
    DataError: there are several such files, or none of the split.
  """
  names = files.json_kinds.get(kind, []) if files.is_folder else list(files.names)
  chosen = [name for name in names if split in stem(name)]
  if split:
    chosen = chosen or [name for name in names if is_in_split(files.absolute(name), split)]
  if len(chosen) == 1:
    return chosen[0]
  if not chosen:
    raise DataError(
      f'{files.path} has no {kind} file' + (f' of the split {split!r}' if split else ''),
      expected=f'a file with {split!r} in its name, or in a folder of that name'
      if split
      else 'a file of that format',
      got=', '.join(names[:5]) or 'none',
      likely_cause='another name of the split, or a file with all images: leave out --split',
    )
  raise DataError(
    f'{files.path} has several annotation files',
    expected='one file',
    got=', '.join(chosen[:5]),
    likely_cause='several splits; name one of the files as --annotations, or give --split',
  )


def found_folder(
  files: SourceFiles, name: str, content: annotation_file.Entry, left_out: str = ''
) -> str:
  """The folder beside an annotation file that its file names are relative to.

  Args:
    files: the annotation files.
    name: name of the annotation file.
    content: its content.
    left_out: a folder that has no images, such as that of panoptic maps.
  """
  entries = content.get('images')
  entries = entries if isinstance(entries, list) else []
  named = [coco_entries.file_name(entry) for entry in entries if isinstance(entry, dict)]
  split = stem(name).removeprefix('instances_').removeprefix('panoptic_')
  beside = SourceFiles(os.path.dirname(files.absolute(name)) or '.', files.report)
  return image_locations.folder_of_names(beside, [name for name in named if name], split, left_out)
