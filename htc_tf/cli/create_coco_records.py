r"""Conversion of a COCO-format data set to sharded TFRecords.

Example:
  htc-create-coco-records --annotations=instances_train2017.json --image_folder=train2017 \
    --semantic=stuff_maps --stuff_folder=stuffthingmaps/train2017 \
    --output_folder=records --prefix=train --num_shards=256
"""

import argparse
import os
import sys

from htc_tf.cli import command


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
  add('--prefix', default='train', help='prefix of the written files (default: train)')
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
  add(
    '--overwrite',
    action='store_true',
    help='replace records and annotations of the same prefix that were made from another file',
  )
  return parser


def _execute(args: argparse.Namespace) -> int:
  from htc_tf.data import coco_to_tfrecord

  coco_to_tfrecord.convert(coco_to_tfrecord.ConversionOptions(**vars(args)))
  return 0


def main(argv: list[str] | None = None) -> int:
  """Run the command and return its exit status; see `command.run`."""
  interrupted = 'interrupted; the same command continues where this one stopped'
  return command.run(_parser(), _execute, argv, interrupted)


if __name__ == '__main__':
  sys.exit(main())
