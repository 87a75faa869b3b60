"""Arguments of the commands that detect instances in image files."""

import argparse


def add_image_arguments(parser: argparse.ArgumentParser) -> None:
  """Add the images, the output folder and the threshold of the overlays to a parser."""
  add = parser.add_argument
  add('inputs', nargs='+', help='images, or folders of images')
  add('--output', required=True, help='folder for overlays, predictions.json and images.json')
  add(
    '--score_threshold',
    type=float,
    default=0.3,
    help='smallest score of a drawn instance; the JSON holds all detections (default: 0.3)',
  )
