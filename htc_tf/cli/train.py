"""Trains and evaluates by Model Garden's loop, after checking the whole configuration."""

import os
import sys
from collections.abc import Sequence

from absl import app, flags, logging
from official.common import flags as tfm_flags

from htc_tf.errors import HTCError

FLAGS = flags.FLAGS
_EXIT_STOPPED = 1
_EXIT_USAGE = 2
_HELP = {'help', 'helpshort', 'helpfull', 'helpxml', 'h', '?'}


def main(_: Sequence[str]) -> None:
  """Checks, then runs."""
  from htc_tf import registry_imports  # noqa: F401
  from htc_tf.configs import parsing, validation
  from htc_tf.training import driver, graph_errors

  # Written beside training, a checkpoint that the disk has no room for leaves the status at 0.
  FLAGS.set_default('enable_async_checkpointing', False)
  try:
    params = parsing.parse_configuration(FLAGS)
    parsing.rescale_for_batch(FLAGS.experiment, params)
    parsing.move_xla_flag(params)
    validation.validate_experiment(params, FLAGS.mode)
    driver.run(FLAGS, params, sys.argv)
  except HTCError as error:
    logging.error('%s', error)
    raise SystemExit(_EXIT_USAGE) from error
  except Exception as error:
    message = graph_errors.stated_message(error)
    if message is None:
      raise
    logging.error('%s', message)
    raise SystemExit(_EXIT_STOPPED) from error


def _asks_for_help(args: Sequence[str]) -> bool:
  return any(arg.startswith('-') and arg.lstrip('-') in _HELP for arg in args)


def run() -> None:
  """Console entry point."""
  tfm_flags.define_flags()
  flags.mark_flags_as_required(['experiment', 'mode', 'model_dir'])
  # `--help` shows the flags of the script that was started, and these are all that matter.
  for flag in FLAGS.get_flags_for_module(tfm_flags):
    FLAGS.register_key_flag_for_module(sys.argv[0], flag)
  if not _asks_for_help(sys.argv[1:]):
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '1')
    # Its import defines a flag of its own, and takes seconds.
    from official.vision import train as _  # noqa: F401
  app.run(main)
