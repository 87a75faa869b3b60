"""Arguments of the commands that load a model."""

import argparse
import json
from typing import TYPE_CHECKING

from htc_tf.errors import InputError

if TYPE_CHECKING:
  from htc_tf.serving.members import Ensemble


def add_configuration_arguments(parser: argparse.ArgumentParser) -> None:
  """Add the experiment and the overrides of its configuration to a parser."""
  add = parser.add_argument
  add('--experiment', help='experiment of a checkpoint that has no configuration beside it')
  add(
    '--params_override',
    action='append',
    default=[],
    metavar='KEY=VALUE,...',
    help='overrides of the configuration, as for training; may be repeated',
  )


def add_views_argument(parser: argparse.ArgumentParser) -> None:
  """Add the views of test-time augmentation to a parser."""
  parser.add_argument(
    '--tta',
    metavar='SIZES+flip',
    help='test-time augmentation: sizes of the short side, and flip for mirrored views, such as '
    "640,800+flip or flip; 'none' for one view (default: as the model is configured); "
    'the time is about that of all views together',
  )


def add_ensemble_arguments(parser: argparse.ArgumentParser) -> None:
  """Add the models that detect together with the one of --model to a parser."""
  parser.add_argument(
    '--ensemble',
    action='append',
    default=[],
    metavar='MODEL',
    help='another model directory or checkpoint prefix with the same classes, which detects '
    'together with --model; may be repeated; the time is about that of all models together',
  )
  parser.add_argument(
    '--ensemble_level',
    metavar='LEVEL',
    help="'rois' averages scores, boxes and masks for shared proposals; 'detections' joins the "
    'results of the models by weighted box fusion (default: rois)',
  )


def ensemble_of(args: argparse.Namespace) -> 'Ensemble':
  """The models of `add_ensemble_arguments`.

  Args:
    args: parsed arguments.

  Raises:
    InputError: the level is unknown, there are no models that it is for, or a path is empty.
  """
  from htc_tf.serving.members import Ensemble

  if args.ensemble_level is None:
    return Ensemble(args.ensemble)
  if not args.ensemble:
    raise InputError(
      '--ensemble_level has no effect',
      expected='--ensemble=MODEL beside it',
      got=f'--ensemble_level={args.ensemble_level} alone',
      likely_cause='a model that is missing in the command; an export has the level of its export',
    )
  return Ensemble(args.ensemble, args.ensemble_level)


def views_overrides(tta: str | None) -> list[str]:
  """The views as texts with overrides of the configuration; none if they are not given.

  Args:
    tta: value of `--tta`.

  Raises:
    ConfigError: the text has another form.
  """
  if tta is None:
    return []
  from htc_tf.configs.detection_views import overrides_of

  return [json.dumps(overrides_of(tta))]
