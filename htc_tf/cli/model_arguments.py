"""Arguments of the commands that load a model."""

import argparse
import json


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
