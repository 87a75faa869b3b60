"""Lowering of detection to a StableHLO program.

Example:
  htc-lower --model=model --height=800 --width=1344 --output=program
"""

import argparse
import sys

from htc_tf.cli import command


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='htc-lower',
    description='Write detection on images of one padded size as a StableHLO program for '
    'compilers other than TensorFlow. Weights are arguments of the program.',
  )
  add = parser.add_argument
  add('--model', required=True, help='model directory or checkpoint prefix')
  add('--output', required=True, help='new folder')
  add('--height', type=int, default=800, help='height of the padded image (default: %(default)s)')
  add('--width', type=int, default=1344, help='width of the padded image (default: %(default)s)')
  add('--batch_size', type=int, default=1, help='images per call (default: %(default)s)')
  add('--experiment', help='experiment of a checkpoint that has no configuration beside it')
  add(
    '--params_override',
    action='append',
    default=[],
    metavar='KEY=VALUE,...',
    help='overrides of the configuration, as for training; may be repeated',
  )
  return parser


def _execute(args: argparse.Namespace) -> int:
  from htc_tf.serving import loading, lowering

  model = loading.load_model(args.model, args.experiment, args.params_override).model
  lowered = lowering.lower_detection(model, (args.height, args.width), args.batch_size)
  print(lowering.write_program(lowered, args.output))
  return 0


def main(argv: list[str] | None = None) -> int:
  """Run the command and return its exit status; see `command.run`."""
  return command.run(_parser(), _execute, argv)


if __name__ == '__main__':
  sys.exit(main())
