"""Converts a published checkpoint to a model directory.

Example:
  htc-convert htc_r50_fpn_1x_coco_20200317-7332cf16.pth --experiment=htc_resnet50fpn_1x_coco \
    --output=model
"""

import argparse
import os
import sys

from htc_tf.errors import HTCError


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='htc-convert',
    description='Converts a checkpoint of mmdetection (.pth), laihuihui/htc '
    '(.pdparams), or an ImageNet ResNet of torchvision or mmcls (.pth), to a model directory for '
    'htc-predict, htc-export and task.init_checkpoint. Nothing in the file is executed.',
  )
  add = parser.add_argument
  add('file', help='the published checkpoint')
  add('--experiment', required=True, help='the experiment whose model it is')
  add('--output', required=True, help='new folder')
  add(
    '--config_file',
    action='append',
    default=[],
    metavar='YAML',
    help='overrides of the experiment; may be repeated',
  )
  add('--params_override', default='', help='further overrides, e.g. task.model.num_classes=5')
  add(
    '--allow_class_mismatch',
    action='store_true',
    help='leave out the layers that depend on the number of classes where it differs',
  )
  add('--allow_unused', action='store_true', help='leave out entries the model has no place for')
  add(
    '--allow_missing', action='store_true', help='leave variables without an entry as initialised'
  )
  return parser


def _run(args: argparse.Namespace) -> str:
  """Converts as told; returns what to print."""
  from official.core import train_utils

  from htc_tf import registry_imports  # noqa: F401
  from htc_tf.checkpoints import converted_model
  from htc_tf.configs import parsing
  from htc_tf.convert.conversion import Allowed

  origin = {
    'experiment': args.experiment,
    'config_file': args.config_file,
    'params_override': args.params_override,
  }
  params = parsing.parse_configuration(train_utils.ParseConfigOptions(**origin))
  allowed = Allowed(args.allow_class_mismatch, args.allow_unused, args.allow_missing)
  result = converted_model.write_model_directory(args.file, params, args.output, allowed, origin)
  return f'{result.describe()}\n{args.output}'


def main(argv: list[str] | None = None) -> int:
  """Runs the command; returns its exit status: 0, or 2 after an error message."""
  args = _parser().parse_args(argv)
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  # Its pools would hold a hundred megabytes of a command that computes nothing.
  os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')
  try:
    print(_run(args))
  except (HTCError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  return 0


if __name__ == '__main__':
  sys.exit(main())
