"""Images that several records of a folder have, so that an evaluation would be of known images."""

import os
from collections.abc import Sequence

from htc_tf.data import conversion_outputs, dataset_info, tiles
from htc_tf.data.annotation_file import Entry, read_annotation_file
from htc_tf.data.check_report import CheckReport
from htc_tf.data.conversion_options import ConversionOptions


def describe(options: ConversionOptions, images: Sequence[Entry]) -> list[str]:
  """Warnings about other records of the folder that were made of the same images.

  That happens if annotations are converted as a whole after they were divided, or the other way
  round with another prefix. Only records of the same annotation file are compared: file names of
  others may coincide.

  Args:
    options: options of the conversion.
    images: its image entries.
  """
  names = set(map(tiles.file_name, images))
  found = dataset_info.find_all(os.path.join(options.output_folder, '*.tfrecord'))
  warnings = []
  for prefix, info in sorted(found.items()):
    if prefix == options.prefix or info.source != conversion_outputs.source_of(options):
      continue
    if not os.path.isfile(info.annotation_path):
      continue
    content = read_annotation_file(info.annotation_path, CheckReport())
    number = len(names & set(map(tiles.file_name, content['images'])))
    if number:
      warnings.append(
        f'warning: {number} images of {options.prefix} are also in {prefix}, of an earlier '
        f'conversion; do not train on one and evaluate on the other. Remove {prefix}* from '
        f'{options.output_folder}, or name another --output_folder'
      )
  return warnings
