"""Conversion of a published checkpoint to a model directory.

Example:
  htc-convert htc_r50_fpn_1x_coco_20200317-7332cf16.pth --output=model
"""

import argparse
import os
import sys

from htc_tf import file_systems
from htc_tf.cli import command


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='htc-convert',
    description='Convert a checkpoint of mmdetection or CBNetV2 (.pth, .pth.zip), of laihuihui/htc '
    '(.pdparams), or an ImageNet classifier (.pth: a ResNet of torchvision or mmcls, an HRNet or a '
    'Swin transformer of its authors) to a model directory for htc-predict, htc-export and '
    'task.init_checkpoint. No code in the file is executed.',
  )
  add = parser.add_argument
  add('file', help='published checkpoint')
  add(
    '--experiment',
    default='',
    help='experiment with the model of the checkpoint; by default it follows from the hash in the '
    "file's name, or from what is in the file",
  )
  add('--output', required=True, help='new folder')
  add(
    '--config_file',
    action='append',
    default=[],
    metavar='YAML',
    help='overrides of the experiment; may be repeated',
  )
  add(
    '--params_override',
    action='append',
    default=[],
    metavar='KEY=VALUE,...',
    help='further overrides, e.g. task.model.num_classes=5; may be repeated',
  )
  add(
    '--allow_class_mismatch',
    action='store_true',
    help='skip layers that depend on the number of classes if this number differs',
  )
  add('--allow_unused', action='store_true', help='skip entries that the model has no variable for')
  add(
    '--allow_missing',
    action='store_true',
    help='keep the initial values of variables that have no entry',
  )
  return parser


def _execute(args: argparse.Namespace) -> int:
  # The command computes nothing, and the buffers of oneDNN would take a hundred megabytes.
  os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')

  for name, paths in (
    ('file', [args.file]),
    ('--output', [args.output]),
    ('--config_file', args.config_file),
  ):
    for path in paths:
      file_systems.check_usable(path, name)

  from htc_tf import registry_imports  # noqa: F401
  from htc_tf.checkpoints import converted_model
  from htc_tf.configs import parsing
  from htc_tf.convert.comparison import Allowed

  experiment, config_files = _experiment(args)
  origin = {
    'experiment': experiment,
    'config_file': config_files,
    'params_override': args.params_override,
  }
  params = parsing.parse(experiment, config_files, args.params_override).params
  allowed = Allowed(args.allow_class_mismatch, args.allow_unused, args.allow_missing)
  result = converted_model.write_model_directory(args.file, params, args.output, allowed, origin)
  print(f'{result.describe()}\n{args.output}')
  return 0


def _experiment(args: argparse.Namespace) -> tuple[str, list[str]]:
  """The experiment of the file and the files that change it: as given, or as the file says."""
  from absl import logging

  from htc_tf.convert import identification

  if args.experiment:
    warning = identification.check_choice(args.file, args.experiment, args.config_file)
    if warning:
      logging.warning(warning)
    return args.experiment, args.config_file
  known, reason = identification.identify(args.file)
  print(f'{known.title}: {reason}\n{known.flags}')
  return known.experiment, [*known.config_paths, *args.config_file]


def main(argv: list[str] | None = None) -> int:
  """Run the command and return its exit status; see `command.run`."""
  return command.run(_parser(), _execute, argv)


if __name__ == '__main__':
  sys.exit(main())
