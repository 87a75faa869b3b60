r"""Conversion of an annotated data set to sharded TFRecords.

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
from htc_tf.data import conversion_options
from htc_tf.errors import ConfigError

_VAL_FRACTION = 0.2


def _parser() -> argparse.ArgumentParser:
  """A parser of flags whose destinations are the fields of `ConversionOptions`."""
  parser = argparse.ArgumentParser(
    prog='htc-create-coco-records',
    description='Convert an annotated data set to sharded TFRecords. After an interruption, the '
    'same command continues.',
  )
  add = parser.add_argument
  add(
    '--annotations',
    dest='annotation_file',
    required=True,
    help='file or folder of annotations; the format is recognized by the content',
  )
  add(
    '--image_folder',
    default='',
    help='folder that the file names are relative to (default: found beside the annotations)',
  )
  add('--output_folder', required=True, help='folder for shards and metadata')
  add('--prefix', help='prefix of the written files (default: train, or a --split such as val)')
  add('--name', default='', help='name of the data set in its metadata (default: the prefix)')
  add('--num_shards', type=int, default=8, help='number of shards (default: 8; COCO train: 256)')
  add(
    '--num_processes',
    type=int,
    default=os.cpu_count() or 1,
    help='number of worker processes (default: one per core)',
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
  _add_reading(add)
  _add_semantic(add)
  _add_tiles(add)
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


def _add_reading(add: Callable[..., argparse.Action]) -> None:
  """Add the flags of reading: the format, classes, and what counts as a mask or instance."""
  add(
    '--annotation_format',
    choices=conversion_options.ANNOTATION_FORMATS,
    default='auto',
    help='format of the annotations (default: recognized by their content)',
  )
  add('--split', default='', help='split to read, where the annotations have some (default: all)')
  add(
    '--class_attribute',
    default='',
    help='attribute of regions of VGG Image Annotator that holds the class (default: found)',
  )
  add('--class_name', default='', help='class of annotations without classes (default: object)')
  add('--classes', type=_names, default=(), help='classes to keep, such as cat,dog (default: all)')
  add(
    '--rename',
    dest='renames',
    type=_pairs,
    default=(),
    help='new names of classes, such as kitten:cat,puppy:dog; equal names become one class',
  )
  add('--boxes_as_masks', action='store_true', help='a box is the mask where there is no other')
  add('--crowds_as_instances', action='store_true', help='take crowd regions as instances')


def _add_semantic(add: Callable[..., argparse.Action]) -> None:
  """Add the flags of semantic maps."""
  add(
    '--check_stuff_maps',
    action='store_true',
    help='print a report on the maps in --stuff_folder, and write nothing',
  )
  add(
    '--semantic',
    choices=('auto', 'none', 'stuff_maps', 'instances', 'panoptic'),
    default='auto',
    help='semantic map: none, read from --stuff_folder, made from the instances, or of panoptic '
    'annotations (default: panoptic for these, else instances if there are masks)',
  )
  add('--stuff_folder', help='PNG label maps named like the images; label 255 is ignored')
  add(
    '--num_semantic_classes',
    type=int,
    default=183,
    help='number of classes of the stuff maps (default: 183, as in COCO-stuff)',
  )
  add(
    '--semantic_order',
    choices=conversion_options.SEMANTIC_ORDERS,
    default='file',
    help='which of overlapping instances a map of --semantic=instances shows: the later one of the '
    'file (default), the largest or the smallest',
  )
  add(
    '--semantic_background',
    type=int,
    default=0,
    help='label of the background in a map of --semantic=instances; 255 ignores it (default: 0)',
  )


def _add_tiles(add: Callable[..., argparse.Action]) -> None:
  """Add the flags of tiles."""
  add('--tile_size', type=int, default=0, help='side of tiles that cut larger images (default: 0)')
  add(
    '--tile_overlap',
    type=int,
    default=-1,
    help='pixels that neighboring tiles share (default: a quarter of their side)',
  )
  add(
    '--tile_min_visible',
    type=float,
    default=0.25,
    help='share of an object that makes an instance of a tile; less is ignored (default: 0.25)',
  )
  add('--drop_empty_tiles', action='store_true', help='leave out tiles without an object')


def _names(text: str) -> tuple[str, ...]:
  """The names in a list with commas."""
  names = tuple(name.strip() for name in text.split(','))
  if not all(names):
    raise argparse.ArgumentTypeError(f'an empty name in {text!r}')
  return names


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
  """The pairs of an old and a new name in a list such as old:new,old:new."""
  pairs = [tuple(part.strip() for part in name.split(':')) for name in text.split(',')]
  if not all(len(pair) == 2 and all(pair) for pair in pairs):
    raise argparse.ArgumentTypeError(f'expected old:new,old:new; got {text!r}')
  return tuple((old, new) for old, new in pairs)


def _add_division(add: Callable[..., argparse.Action]) -> None:
  """Add the flags of the division into a training and a validation part."""
  add(
    '--val_fraction',
    type=float,
    nargs='?',
    const=_VAL_FRACTION,
    help='write two parts, train and val, with this share of the images in val (without a value: '
    f'{_VAL_FRACTION}); every class is divided alike',
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
  only_check = values.pop('check_stuff_maps')
  fraction, seed, group_by = (values.pop(key) for key in ('val_fraction', 'split_seed', 'group_by'))
  if fraction is None or only_check:
    values['prefix'] = values['prefix'] or _prefix_of(values['split'])
  if only_check:
    return _check_maps(conversion_options.ConversionOptions(**values))
  if fraction is None:
    coco_to_tfrecord.convert(coco_to_tfrecord.ConversionOptions(**values))
    command.print_next('htc-show', values['output_folder'])
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
  command.print_next('htc-show', values['output_folder'])
  return 0


def _prefix_of(split: str) -> str:
  """The prefix of the records of a split: its name if it is a usual one, so that parts differ."""
  from htc_tf.data import dataset_folder

  return split if split in dataset_folder.VAL_PREFIXES else dataset_folder.TRAIN


def _check_maps(options: conversion_options.ConversionOptions) -> int:
  """Print the report on stuff maps; returns the exit status."""
  from htc_tf.data import stuff_map_check
  from htc_tf.data.formats import registry

  if not options.stuff_folder:
    raise ConfigError(
      '--check_stuff_maps has no maps to check',
      expected='--semantic=stuff_maps and --stuff_folder',
      got='no --stuff_folder',
    )
  source = registry.read(options)
  entries = source.content['images']
  names = [name for entry in entries if (name := entry.get('file_name'))]
  report = stuff_map_check.check(
    source.image_folder, options.stuff_folder, options.num_semantic_classes, names
  )
  print('\n'.join(report.lines()))
  return 0 if report.num_maps and not report.faults else command.PARTIAL


def main(argv: list[str] | None = None) -> int:
  """Run the command and return its exit status; see `command.run`."""
  interrupted = 'interrupted; the same command continues where this one stopped'
  return command.run(_parser(), _execute, argv, interrupted)


if __name__ == '__main__':
  sys.exit(main())
