"""Lowering of detection to a StableHLO program.

Example:
  htc-lower --model=model --height=800 --width=1344 --output=program
"""

import argparse
import sys

from htc_tf import file_systems
from htc_tf.cli import command
from htc_tf.cli.model_arguments import add_configuration_arguments


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='htc-lower',
    description='Write detection on images of one padded size as a StableHLO program for '
    'compilers other than TensorFlow. Weights are arguments of the program.',
  )
  add = parser.add_argument
  add('--model', required=True, help='model directory or checkpoint prefix')
  add('--output', required=True, help='new folder')
  size = 'of the padded image (default: {} side of the resized images of the model, rounded up)'
  add('--height', type=int, help=f'height {size.format("the short")}')
  add('--width', type=int, help=f'width {size.format("the long")}')
  add('--batch_size', type=int, default=1, help='images per call (default: %(default)s)')
  add_configuration_arguments(parser)
  return parser


def _execute(args: argparse.Namespace) -> int:
  from htc_tf import files
  from htc_tf.serving import loading, lowering

  file_systems.check_local(args.output, '--output')
  file_systems.check_usable(args.model, '--model')
  files.check_new_folder(args.output)
  predictor = loading.load_model(args.model, args.experiment, args.params_override)
  (member,) = predictor.members
  lowering.check_single_view(member)
  model = member.model
  rule = predictor.input_rules[0]
  height, width = lowering.default_hw(model, (rule.min_size, rule.max_size))
  size = (
    height if args.height is None else args.height,
    width if args.width is None else args.width,
  )
  lowered = lowering.lower_detection(model, size, args.batch_size)
  print(lowering.write_program(lowered, args.output))
  return 0


def main(argv: list[str] | None = None) -> int:
  """Run the command and return its exit status; see `command.run`."""
  return command.run(_parser(), _execute, argv)


if __name__ == '__main__':
  sys.exit(main())
