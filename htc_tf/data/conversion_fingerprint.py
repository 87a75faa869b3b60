"""The fingerprint of a conversion, which tells whether its inputs changed since an earlier run."""

import dataclasses
import hashlib
import json
import os

from htc_tf.data import image_paths, stuff_maps, tiles
from htc_tf.data.coco_annotations import CocoAnnotations, Entry
from htc_tf.data.conversion_options import ConversionOptions

_FORMAT_VERSION = 7  # of records and statistics; another one makes them anew.


def fingerprint(
  options: ConversionOptions, annotations: CocoAnnotations, images: list[Entry]
) -> str:
  """A hash of the annotations, the options, and names, sizes and times of images and maps.

  Args:
    options: options of the conversion; the number of processes and the folders do not count.
    annotations: cleaned annotations.
    images: entries of the images or tiles.
  """
  digest = hashlib.sha256(annotations.digest.encode())
  irrelevant = (
    'annotation_file',
    'image_folder',
    'output_folder',
    'stuff_folder',
    'num_processes',
    'overwrite',
  )
  relevant = {
    key: value for key, value in dataclasses.asdict(options).items() if key not in irrelevant
  }
  digest.update(json.dumps([_FORMAT_VERSION, relevant], sort_keys=True).encode())
  files_of: dict[str, str] = {}
  for image in images:
    paths = [image_paths.path_inside(options.image_folder, tiles.file_name(image))]
    if options.stuff_folder:
      paths.append(stuff_maps.path_of(options.stuff_folder, image))
    if paths[0] not in files_of:  # Tiles share the file of their image.
      files_of[paths[0]] = str([_size_and_time(path) for path in paths])
    digest.update(f'{image["file_name"]} {files_of[paths[0]]}'.encode(errors='surrogateescape'))
  return digest.hexdigest()


def _size_and_time(path: str) -> tuple[int, int] | None:
  """Size and time of a file; None if it vanished, which is counted when it is read."""
  try:
    stat = os.stat(path)
  except OSError:
    return None
  return stat.st_size, stat.st_mtime_ns
