"""Pictures of the records of a data set, as stored and as training gets them.

Example:
  htc-show data
"""

import argparse
import os
import sys

from htc_tf import file_systems
from htc_tf.cli import command
from htc_tf.cli.model_arguments import add_configuration_arguments


def _parser() -> argparse.ArgumentParser:
  """A parser of flags whose destinations are the fields of `SampleOptions`."""
  parser = argparse.ArgumentParser(
    prog='htc-show',
    description='Draw records of a data set as stored and as training gets them, as contact sheets '
    'and as one page with the card of the data set.',
  )
  add = parser.add_argument
  add('data', nargs='?', default='', help='folder of records, or pattern of TFRecord files')
  add('--output', help='folder to write to (default: show, beside the records)')
  add('--split', default='', help='only this split, such as train or val (default: all)')
  add(
    '--samples',
    type=int,
    default=12,
    help='number of images of each split, or more so that every class is seen (default: 12)',
  )
  add(
    '--views',
    type=int,
    default=4,
    help='number of random augmentations of each image as training gets it (default: 4)',
  )
  add('--seed', type=int, default=0, help='seed of images and augmentations (default: 0)')
  add(
    '--images',
    type=_names,
    default=(),
    metavar='NAME,...',
    help='ids or file names of the images to show (default: a choice in which every class is seen)',
  )
  add(
    '--classes',
    type=_names,
    default=(),
    metavar='NAME,...',
    help='show only images with an object of these classes',
  )
  add(
    '--size',
    help='size of the model, as for htc-train: nano (default), small (default with a GPU), base '
    'or large',
  )
  add('--image_size', type=int, help='limit of the long side of images, as for htc-train')
  add('--model', help='model directory whose configuration is used')
  add_configuration_arguments(parser)
  return parser


def _names(text: str) -> tuple[str, ...]:
  """The names in a text, separated by commas."""
  return tuple(name.strip() for name in text.split(',') if name.strip())


def _execute(args: argparse.Namespace) -> int:
  from htc_tf.reports import sample_report

  for name in ('output', 'model'):
    file_systems.check_given(getattr(args, name), f'--{name}')
  if not (args.size or args.experiment or args.model):
    # The pictures are those of the training that is named at the end.
    args.size = 'small' if command.has_gpu() else 'nano'
  values = {**vars(args), 'params_override': tuple(args.params_override)}
  values.update({name: values[name] or '' for name in ('experiment', 'model', 'output')})
  for path in sample_report.write_sample_report(sample_report.SampleOptions(**values)):
    print(path)
  if not args.model and file_systems.exists(os.path.join(args.data, 'train.json')):
    command.print_next('htc-train', *_training_arguments(args))
  return 0


def _training_arguments(args: argparse.Namespace) -> list[str]:
  """Arguments of a training on what was shown, with the same configuration."""
  chosen = [('experiment', args.experiment), ('size', args.size), ('image_size', args.image_size)]
  chosen += [('params_override', override) for override in args.params_override]
  flags = [f'--{name}={value}' for name, value in chosen if value]
  return [f'--data={args.data}', *flags, '--epochs=100', '--model_dir=model']


def main(argv: list[str] | None = None) -> int:
  """Run the command and return its exit status; see `command.run`."""
  return command.run(_parser(), _execute, argv)


if __name__ == '__main__':
  sys.exit(main())
