"""Arguments of the commands that load a model."""

import argparse


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
