"""Arguments of the commands that detect instances in image files."""

import argparse

DEFAULT_SAVE = ('overlay',)


def add_image_arguments(parser: argparse.ArgumentParser) -> None:
  """Add the inputs, the output, the thresholds, batches and ids to a parser."""
  add = parser.add_argument
  add(
    'inputs',
    nargs='+',
    help='images, videos, or folders of them; or - alone: paths of images from the standard input, '
    'one per line, each answered at once by a line of JSON on the standard output: {"path", '
    '"size": [height, width], "instances": [{"class", "category_id", "score", "box": [xmin, ymin, '
    'xmax, ymax], "rle"}]} or {"path", "error"}',
  )
  add(
    '--output',
    help='folder for overlays, predictions.json and images.json, and for <video>_overlay.mp4 and '
    '<video>.jsonl, which has a line of JSON for each frame; needed except with -, which writes no '
    'files without it',
  )
  add(
    '--annotations',
    metavar='JSON',
    help='COCO file, such as instances_val2017.json, whose image and category ids are used in '
    "predictions.json, so that COCO(JSON).loadRes('predictions.json') fits; images are found by "
    'their file name; those that the file does not name are left out and named in the log, and '
    'the exit status is 1',
  )
  _add_thresholds(parser)
  _add_outputs(parser)
  _add_frames(parser)
  _add_tiles(parser)


def _add_thresholds(parser: argparse.ArgumentParser) -> None:
  add = parser.add_argument
  add(
    '--score_threshold',
    type=float,
    default=0.3,
    help='smallest score of an object in the outputs of --save and in lines of JSON; '
    'predictions.json holds all detections (default: 0.3)',
  )
  add(
    '--thresholds',
    metavar='JSON',
    help='metrics.json of a report of htc-evaluate, such as model/report/metrics.json, whose best '
    'threshold of each class takes the place of --score_threshold; a class without one there has '
    'that of --score_threshold',
  )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
  parser.add_argument(
    '--save',
    type=lambda text: tuple(part.strip() for part in text.split(',') if part.strip()),
    default=DEFAULT_SAVE,
    metavar='NAMES',
    help='outputs beside predictions.json and images.json, separated by commas: overlay '
    '(pictures), coco (annotations.json with polygons), labelme (files for LabelMe), masks (label '
    'maps), cutouts (transparent pictures of objects), csv (measurements); default: overlay; '
    'videos have overlay or nothing',
  )


def _add_frames(parser: argparse.ArgumentParser) -> None:
  add = parser.add_argument
  add(
    '--batch_size',
    type=int,
    default=1,
    help='images of one size, frames of a video or tiles that are computed together, or sent to '
    'a server together (default: 1)',
  )
  add(
    '--track',
    action='store_true',
    help='number the objects of videos: an object keeps the number of one of its class in an '
    'earlier frame if the IoU of their masks (or boxes) is at least 0.3, and a number ends after '
    '10 frames without its object',
  )


def _add_tiles(parser: argparse.ArgumentParser) -> None:
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
