r"""Turns a COCO-format data set into sharded TFRecords.

Example:
  python -m htc_tf.cli.create_coco_records --annotations=instances_train2017.json \
    --image_folder=train2017 --semantic=stuff_maps --stuff_folder=stuffthingmaps/train2017 \
    --output_folder=records --prefix=train --num_shards=256
"""

import argparse
import os
import sys

from htc_tf.errors import HTCError


def _parser() -> argparse.ArgumentParser:
  """Flags whose destinations are the fields of ConversionOptions."""
  parser = argparse.ArgumentParser(
    description='Turns a COCO-format data set into sharded TFRecords. A run that was interrupted '
    'continues when started again with the same arguments.'
  )
  add = parser.add_argument
  add('--annotations', dest='annotation_file', required=True, help='COCO instances JSON')
  add('--image_folder', required=True, help='folder its file names are relative to')
  add('--output_folder', required=True, help='where shards and metadata go')
  add('--prefix', default='train', help='of the files written, e.g. train or val (default: train)')
  add('--name', default='', help='of the data set, for people (default: the prefix)')
  add('--num_shards', type=int, default=8, help='shard files (default: 8; 256 suit COCO train)')
  add(
    '--num_processes',
    type=int,
    default=os.cpu_count() or 1,
    help='worker processes (default: one per core)',
  )
  add(
    '--semantic',
    choices=('none', 'stuff_maps', 'instances'),
    default='none',
    help='semantic map: none, read from --stuff_folder, or painted from the instances '
    '(default: none)',
  )
  add('--stuff_folder', help='PNG label maps named as the images; 255 is ignored')
  add(
    '--num_semantic_classes',
    type=int,
    default=183,
    help='classes of the stuff maps (default: 183, as in COCO-stuff)',
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
  return parser


def main(argv: list[str] | None = None) -> int:
  """Runs the command; returns its exit status: 0, or 2 after an error message."""
  flags = _parser().parse_args(argv)
  try:
    # Late, so that --help answers at once.
    from htc_tf.data import coco_to_tfrecord

    coco_to_tfrecord.convert(coco_to_tfrecord.ConversionOptions(**vars(flags)))
  except (HTCError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print('interrupted; the same command continues where it was', file=sys.stderr)
    return 130
  return 0


if __name__ == '__main__':
  sys.exit(main())
