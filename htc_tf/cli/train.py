"""Training and evaluation by Model Garden's loop, after checks of the whole configuration.

Examples:
  htc-train --data=data --size=small --epochs=100 --model_dir=model
  htc-train --experiment=htc_nuclei --mode=train_and_eval --model_dir=model
"""

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING

from absl import app, flags, logging
from official.common import flags as tfm_flags

from htc_tf import file_systems
from htc_tf.cli import command

if TYPE_CHECKING:
  from official.core import config_definitions as cfg

FLAGS = flags.FLAGS
# Flags that are fields of `shorthands.Shorthands`.
_SHORTHANDS = ('data', 'size', 'epochs', 'weights', 'batch_size', 'image_size')
_HELP = {'help', 'helpshort', 'helpfull', 'helpxml', 'h', '?'}


def _execute() -> int:
  import tensorflow as tf

  from htc_tf import registry_imports  # noqa: F401
  from htc_tf.configs import parsing, shorthands, validation
  from htc_tf.tasks import initial_anchors
  from htc_tf.training import driver, run_start

  for name in ('model_dir', 'data', 'weights'):
    file_systems.check_given(getattr(FLAGS, name, None), f'--{name}')
  file_systems.check_usable(FLAGS.model_dir, '--model_dir')
  for path in FLAGS.config_file or []:
    file_systems.check_usable(path, '--config_file')
  for path in FLAGS.gin_file or []:
    file_systems.check_local(path, '--gin_file')
  # If an asynchronous checkpoint failed, for example on a full disk, the exit status would be 0.
  FLAGS.set_default('enable_async_checkpointing', False)
  short = shorthands.Shorthands(**{name: getattr(FLAGS, name, None) for name in _SHORTHANDS})
  experiment = shorthands.experiment_name(short, FLAGS.experiment)
  parsed, values = shorthands.resolve(
    short,
    experiment,
    FLAGS.config_file or (),
    FLAGS.params_override or (),
    initial_anchors.trained_scale,
    has_gpu=bool(tf.config.list_physical_devices('GPU')),
  )
  if 'trainer' not in values:
    parsing.rescale_for_batch(parsed)
  params = parsed.params
  FLAGS.experiment, FLAGS.mode = experiment, FLAGS.mode or shorthands.mode_for(params)
  if short.given:
    logging.info('%s', shorthands.describe(short, experiment, FLAGS.mode, values))
  parsing.move_xla_flag(params)
  _apply_service_flags(params)
  validation.validate_experiment(params, FLAGS.mode, run_start.classes_so_far(FLAGS.model_dir))
  driver.run(FLAGS, params, sys.argv)
  return 0


def _apply_service_flags(params: 'cfg.ExperimentConfig') -> None:
  """Apply Model Garden's flags for a TPU, which the checks refuse, and for a tf.data service."""
  if FLAGS.tpu:
    params.runtime.tpu = FLAGS.tpu
  if FLAGS.tf_data_service:
    for data in (params.task.train_data, params.task.validation_data):
      data.tf_data_service_address = FLAGS.tf_data_service


def define_flags() -> None:
  """Define the flags of the command: those of Model Garden's train.py and the shorthands."""
  if 'experiment' not in FLAGS:
    tfm_flags.define_flags()
  _allow_several_overrides()
  if 'data' not in FLAGS:
    _define_shorthands()


def _allow_several_overrides() -> None:
  """Define `--params_override` anew: Model Garden keeps only the last of several."""
  flags.DEFINE_multi_string(
    'params_override',
    None,
    'Overrides of the experiment: key=value,key=value, a mapping in braces, or a YAML file. May be '
    'repeated; all of them count, the last one most. They come after those of --config_file.',
    module_name=tfm_flags.__name__,
    allow_override=True,
  )


def _define_shorthands() -> None:
  """Define the flags that stand for several values of the configuration."""
  texts = {
    'data': 'Folder of records of htc-create-coco-records: number of classes, sizes, schedule and '
    'other values follow from the data.',
    'size': 'Size of the model for data of your own: nano, small (default), base or large.',
    'weights': 'Initial weights: a published HTC or the ImageNet classifier of the backbone '
    '(.pth, .pdparams), a converted folder, or the model directory of another run '
    '(task.init_checkpoint).',
  }
  numbers = {
    'epochs': 'Number of passes over the training images.',
    'batch_size': 'Number of images per step, of all devices together.',
    'image_size': 'Limit of the long side of resized images in pixels; needs --data.',
  }
  for name, text in texts.items():
    flags.DEFINE_string(name, None, text, module_name=tfm_flags.__name__)
  for name, text in numbers.items():
    flags.DEFINE_integer(name, None, text, module_name=tfm_flags.__name__)


def main(_: Sequence[str]) -> int:
  """Run the command with the parsed flags and return its exit status; see `command.guarded`."""
  received: list[int] = []

  def interrupt(number: int, frame: FrameType | None) -> None:
    received.append(number)
    if len(received) == 1:
      signal.default_int_handler(number, frame)

  # Schedulers send SIGTERM before they end a job. Unlike other commands, this one is not ended by
  # force after some seconds, because it completes the running step and saves it.
  previous = signal.signal(signal.SIGTERM, interrupt)
  try:
    status = command.guarded(
      _execute,
      report=lambda message: logging.error('%s', message),
      interrupted='interrupted; the same command continues from the last checkpoint',
    )
  finally:
    signal.signal(signal.SIGTERM, previous)
  return 128 + received[0] if received else status


def _main_of_process(argv: Sequence[str]) -> int:
  from htc_tf.training import console

  console.set_up()
  return main(argv)


def _asks_for_help(args: Sequence[str]) -> bool:
  return any(arg.startswith('-') and arg.lstrip('-') in _HELP for arg in args)


def run() -> None:
  """Parse the flags of the process, run the command and exit."""
  define_flags()
  # `main_module_help` shows the key flags of the script that was started.
  for flag in FLAGS.get_flags_for_module(tfm_flags):
    FLAGS.register_key_flag_for_module(sys.argv[0], flag)
  if _asks_for_help(sys.argv[1:]):
    print(f'{__doc__}\n{FLAGS.main_module_help()}')
    sys.exit(0)
  flags.mark_flags_as_required(['model_dir'])
  command.prepare_tensorflow('1')
  # This import defines a flag. It takes seconds and therefore comes after the help.
  from official.vision import train as _  # noqa: F401

  app.run(_main_of_process)


if __name__ == '__main__':
  run()
