"""Writes `scenes`, a generated benchmark for instance segmentation with stuff.

400, 100 and 100 pictures of 192 x 192 pixels for training, validation and test show things of seven
classes, with joints and patterns, from 16 to 120 pixels large, which cover one another, on four
kinds of stuff. Boat and wreck, crab and spider differ only in the stuff around them. The same seed
gives the same files.

Example:
  python -m benchmarks.scenes --output=build/scenes
"""

import argparse
import sys

from benchmarks.scenes import dataset
from htc_tf.cli import command


def main(argv: list[str] | None = None) -> int:
  """Write the benchmark and return the exit status; see `command.run`."""
  parser = argparse.ArgumentParser(
    prog='python -m benchmarks.scenes',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--output', required=True, help='folder')
  parser.add_argument('--seed', type=int, default=0, help='seed of all random choices (default: 0)')

  def execute(args: argparse.Namespace) -> int:
    dataset.write(args.output, args.seed)
    return 0

  return command.run(parser, execute, argv, 'interrupted; the same command writes all files again')


if __name__ == '__main__':
  sys.exit(main())
