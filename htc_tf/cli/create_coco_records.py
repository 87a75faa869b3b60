r"""Conversion of a COCO-format data set to sharded TFRecords.

Examples:
  htc-create-coco-records --annotations=all.json --image_folder=images --output_folder=data \
    --val_fraction=0.2
  htc-create-coco-records --annotations=instances_train2017.json --image_folder=train2017 \
    --semantic=stuff_maps --stuff_folder=stuffthingmaps/train2017 \
    --output_folder=records --prefix=train --num_shards=256
"""

import argparse
import os
import sys
from collections.abc import Callable

from htc_tf.cli import command
from htc_tf.errors import ConfigError


def _parser() -> argparse.ArgumentParser:
  """A parser of flags whose destinations are the fields of `ConversionOptions`."""
  parser = argparse.ArgumentParser(
    prog='htc-create-coco-records',
    description='Convert a COCO-format data set to sharded TFRecords. After an interruption, the '
    'same command continues.',
  )
  add = parser.add_argument
  add('--annotations', dest='annotation_file', required=True, help='COCO instances JSON')
  add('--image_folder', required=True, help='folder that the file names are relative to')
  add('--output_folder', required=True, help='folder for shards and metadata')
  add('--prefix', help='prefix of the written files (default: train)')
  add('--name', default='', help='name of the data set in its metadata (default: the prefix)')
  add('--num_shards', type=int, default=8, help='number of shards (default: 8; COCO train: 256)')
  add(
    '--num_processes',
    type=int,
    default=os.cpu_count() or 1,
    help='number of worker processes (default: one per core)',
  )
  add(
    '--semantic',
    choices=('none', 'stuff_maps', 'instances'),
    default='none',
    help='semantic map: none, read from --stuff_folder, or made from the instances (default: none)',
  )
  add('--stuff_folder', help='PNG label maps named like the images; label 255 is ignored')
  add(
    '--num_semantic_classes',
    type=int,
    default=183,
    help='number of classes of the stuff maps (default: 183, as in COCO-stuff)',
  )
  add(
    '--no_masks',
    dest='include_masks',
    action='store_false',
    help='store boxes only; annotations need no segmentation',
  )
  add(
    '--skip_missing_images',
    action='store_true',
    help='drop missing or unreadable images instead of failing',
  )
  add(
    '--overwrite',
    action='store_true',
    help='replace records and annotations of the same prefix that were made from another file',
  )
  _add_pixels(add)
  _add_division(add)
  return parser


def _add_pixels(add: Callable[..., argparse.Action]) -> None:
  """Add the flags of the orientation, channels and depth of images."""
  add(
    '--exif',
    choices=('auto', 'upright', 'stored'),
    default='auto',
    help='whether annotations refer to images turned upright by their EXIF orientation, or as '
    'stored (default: as the annotated sizes tell, else upright)',
  )
  add(
    '--channels',
    choices=('rgb', 'keep'),
    default='rgb',
    help='rgb converts images of every kind to RGB of 8 bits; keep keeps the channels and the 8 or '
    '16 bits of TIFF, PNG and NPY files, the same for all images (default: rgb)',
  )


def _add_division(add: Callable[..., argparse.Action]) -> None:
  """Add the flags of the division into a training and a validation part."""
  add(
    '--val_fraction',
    type=float,
    help='write two parts, train and val, with this share of the images in val; every class is '
    'divided alike',
  )
  add('--split_seed', type=int, default=0, help='seed of the division (default: 0)')
  add(
    '--group_by',
    default='auto',
    help='images that stay together: a field of the image entries, a regular expression for file '
    'names, none, or auto (default), which knows usual fields and names',
  )


def _execute(args: argparse.Namespace) -> int:
  from htc_tf.data import coco_to_tfrecord, divided_conversion
  from htc_tf.data.split import Division

  values = vars(args)
  fraction, seed, group_by = (values.pop(key) for key in ('val_fraction', 'split_seed', 'group_by'))
  if fraction is None:
    values['prefix'] = values['prefix'] or 'train'
    coco_to_tfrecord.convert(coco_to_tfrecord.ConversionOptions(**values))
    return 0
  division = Division(fraction, seed, group_by)
  if values.pop('prefix'):
    raise ConfigError(
      '--prefix and --val_fraction do not go together',
      expected='one of them',
      got='both',
      likely_cause='a second conversion: with --val_fraction the prefixes are train and val',
    )
  divided_conversion.convert(coco_to_tfrecord.ConversionOptions(**values), division)
  return 0


def main(argv: list[str] | None = None) -> int:
  """Run the command and return its exit status; see `command.run`."""
  interrupted = 'interrupted; the same command continues where this one stopped'
  return command.run(_parser(), _execute, argv, interrupted)


if __name__ == '__main__':
  sys.exit(main())
