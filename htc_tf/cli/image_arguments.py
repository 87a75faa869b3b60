"""Arguments of the commands that detect instances in image files."""

import argparse


def add_image_arguments(parser: argparse.ArgumentParser) -> None:
  """Add the images, the output, the ids and the threshold of the overlays to a parser."""
  add = parser.add_argument
  add('inputs', nargs='+', help='images, or folders of images')
  add('--output', required=True, help='folder for overlays, predictions.json and images.json')
  add(
    '--score_threshold',
    type=float,
    default=0.3,
    help='smallest score of an object in the outputs of --save; predictions.json holds all '
    'detections (default: 0.3)',
  )
  add(
    '--save',
    type=lambda text: tuple(part.strip() for part in text.split(',') if part.strip()),
    default=('overlay',),
    metavar='NAMES',
    help='outputs beside predictions.json and images.json, separated by commas: overlay '
    '(pictures), coco (annotations.json with polygons), labelme (files for LabelMe), masks (label '
    'maps), cutouts (transparent pictures of objects), csv (measurements); default: overlay',
  )
  add(
    '--annotations',
    metavar='JSON',
    help='COCO file, such as instances_val2017.json, whose image and category ids are used in '
    "predictions.json, so that COCO(JSON).loadRes('predictions.json') fits; images are found by "
    'their file name; those that the file does not name are left out and named in the log, and '
    'the exit status is 1',
  )


def add_tile_arguments(parser: argparse.ArgumentParser) -> None:
  """Add the size and the overlap of the tiles of large images to a parser."""
  add = parser.add_argument
  add(
    '--tile_size',
    type=int,
    metavar='PIXELS',
    help='side of the tiles in which larger images are detected, such as 1024; a tile has at most '
    'the max_detections of the model; TIFF files are read tile by tile and may have any size '
    '(default: images are seen as a whole)',
  )
  add(
    '--tile_overlap',
    type=int,
    metavar='PIXELS',
    help='pixels that neighboring tiles share, best more than the side of most objects; objects '
    'across borders are joined by their masks in the shared pixels (default: 128)',
  )
