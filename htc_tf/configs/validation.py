"""Checks a configuration as a whole before anything is built."""

from official.core import config_definitions as cfg

from htc_tf.configs import task as task_config
from htc_tf.configs.data_validation import validate_data
from htc_tf.configs.model_validation import uses_static_frame
from htc_tf.configs.model_validation import validate_model
from htc_tf.configs.value_types import check_value_types
from htc_tf.errors import ConfigError

# What `runtime.mixed_precision_dtype` may be.
PRECISIONS = ('float32', 'bfloat16', 'float16')


def validate_experiment(params: cfg.ExperimentConfig, mode: str) -> None:
  """Checks an experiment for a mode of the trainer.

  Args:
    params: a whole experiment whose task is an `HTCTask`.
    mode: 'train', 'eval', 'train_and_eval' or 'continuous_eval' (an 'and' joins them).

  Raises:
    ConfigError: for the first thing wrong, with what was expected and the likely cause.
  """
  if not isinstance(params.task, task_config.HTCTask):
    raise ConfigError('This is no HTC experiment', expected='a task of type HTCTask',
                      got=type(params.task).__name__, likely_cause='an experiment of Model Garden')
  validate_model(params.task.model)
  validate_runtime(params.runtime)
  check_value_types(params.task.losses, 'task.losses')
  data = ([('train_data', params.task.train_data)] if 'train' in mode else [])
  data += ([('validation_data', params.task.validation_data)] if 'eval' in mode else [])
  for name, config in data:
    validate_data(config, params.task.model, f'task.{name}')
  if 'train' in mode and params.task.jit_compile:
    _check_static_batches(params.task)


def _check_static_batches(task: task_config.HTCTask) -> None:
  """XLA compiles for sizes known beforehand."""
  data = task.train_data
  if not data.drop_remainder or not (data.parser.frames or uses_static_frame(task.model)):
    raise ConfigError('The training step cannot be compiled (runtime.enable_xla)',
                      expected='task.train_data.drop_remainder and static frames in '
                      'task.train_data.parser.frames, e.g. [{height: 800, width: 1344}]',
                      got=f'drop_remainder={data.drop_remainder}, '
                      f'{len(data.parser.frames)} frames',
                      likely_cause='an experiment that pads each batch to its own size')


def validate_runtime(config: cfg.RuntimeConfig) -> None:
  """Checks the precision of a run; raises ConfigError if it does not exist."""
  if config.mixed_precision_dtype not in (None, *PRECISIONS):
    raise ConfigError('runtime.mixed_precision_dtype is unknown',
                      expected=f'one of {list(PRECISIONS)}', got=repr(config.mixed_precision_dtype),
                      likely_cause='a misspelt value')
  scale = config.loss_scale
  is_number = isinstance(scale, (int, float)) and scale > 0
  if scale is not None and scale != 'dynamic' and not is_number:
    raise ConfigError('runtime.loss_scale is wrong', expected="'dynamic' or a positive number",
                      got=repr(scale))
  if scale is not None and config.mixed_precision_dtype != 'float16':
    raise ConfigError('runtime.loss_scale has no effect',
                      expected='mixed_precision_dtype=float16, whose gradients need a scale',
                      got=repr(config.mixed_precision_dtype),
                      likely_cause='a run changed from float16 to another type')
