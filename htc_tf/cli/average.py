"""The mean of several checkpoints as one model directory (stochastic weight averaging).

Examples:
  htc-average --model=model --last=12 --output=averaged
  htc-average model_a/ckpt-9000 model_b/ckpt-9000 --output=averaged
"""

import argparse
import sys

from htc_tf import file_systems, files
from htc_tf.cli import command
from htc_tf.cli.model_arguments import add_configuration_arguments
from htc_tf.errors import InputError


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='htc-average',
    description='Average the weights of several checkpoints of one model (stochastic weight '
    'averaging), and write a model directory for htc-evaluate, htc-predict, htc-export and '
    'htc-train --weights.',
  )
  add = parser.add_argument
  add(
    'checkpoints',
    nargs='*',
    help='checkpoint prefixes such as model/ckpt-1000, or model directories, each of which stands '
    'for its latest checkpoint; in the place of --model',
  )
  add('--model', help='model directory whose checkpoints are averaged')
  add(
    '--last',
    type=int,
    metavar='N',
    help='average the last N checkpoints of --model (default: all of them)',
  )
  add('--output', required=True, help='new folder')
  add(
    '--norm_batches',
    type=int,
    default=0,
    metavar='N',
    help='estimate the running statistics of batch norm from N training batches, for models whose '
    'training updates them (default: 0, average them as well)',
  )
  add_configuration_arguments(parser)
  return parser


def _execute(args: argparse.Namespace) -> int:
  for name, path in (
    *(('checkpoints', path) for path in args.checkpoints),
    ('--model', args.model),
    ('--output', args.output),
  ):
    file_systems.check_usable(path, name)
  files.check_new_folder(args.output)
  _check_combination(args)
  from htc_tf import registry_imports  # noqa: F401
  from htc_tf.checkpoints import averaging, restoration
  from htc_tf.training import averaged_directory

  prefixes = (
    averaging.last_of(args.model, args.last)
    if args.model
    else [restoration.resolve(path) for path in args.checkpoints]
  )
  averaged = averaged_directory.write_averaged_directory(
    prefixes, args.output, args.experiment, args.params_override, args.norm_batches
  )
  print(f'{averaged.describe()}\n{args.output}')
  command.print_next('htc-evaluate', f'--model={args.output}')
  return 0


def _check_combination(args: argparse.Namespace) -> None:
  """Raise InputError unless the arguments fit each other."""
  wrong = [
    (not args.model and not args.checkpoints, '--model, or checkpoints', 'neither'),
    (args.model and args.checkpoints, '--model, or checkpoints', 'both'),
    (args.checkpoints and args.last is not None, '--model with --last', 'checkpoints with --last'),
    (args.norm_batches < 0, '--norm_batches of 0 or more', str(args.norm_batches)),
  ]
  for is_wrong, expected, got in wrong:
    if is_wrong:
      raise InputError('There is nothing to average', expected=expected, got=got)


def main(argv: list[str] | None = None) -> int:
  """Run the command and return its exit status; see `command.run`."""
  return command.run(_parser(), _execute, argv)


if __name__ == '__main__':
  sys.exit(main())
