"""Checks of the configuration of an experiment, before anything is built."""

from official.core import config_definitions as cfg

from htc_tf import file_systems
from htc_tf.configs import detection_views, trainer_validation
from htc_tf.configs import task as task_config
from htc_tf.configs.data_validation import check_sizes, validate_data
from htc_tf.configs.frames import Resizing
from htc_tf.configs.model_validation import validate_model
from htc_tf.configs.value_types import check_values
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import ConfigError

# Modes of the training command.
MODES = ('train', 'eval', 'train_and_eval', 'continuous_eval', 'train_and_post_eval')
# Values of `runtime.distribution_strategy`.
STRATEGIES = ('one_device', 'mirrored', 'multi_worker_mirrored', 'off')
_UNSUPPORTED_STRATEGIES = ('parameter_server', 'tpu')
# Values of `runtime.mixed_precision_dtype`.
PRECISIONS = ('float32', 'bfloat16', 'float16', 'bfloat16_features')


def check_task(params: cfg.ExperimentConfig) -> None:
  """Raise ConfigError unless an experiment has a task of type `HTCTask`."""
  if not isinstance(params.task, task_config.HTCTask):
    raise ConfigError(
      'This is not an HTC experiment',
      expected='a task of type HTCTask',
      got=type(params.task).__name__,
      likely_cause='an experiment of Model Garden',
    )


def validate_experiment(
  params: cfg.ExperimentConfig, mode: str, classes: DatasetInfo | None = None
) -> None:
  """Check an experiment for a mode of the training command.

  Args:
    params: the experiment.
    mode: one of `MODES`, or '' to omit the checks that depend on the mode.
    classes: classes of the run that a training continues; None for a new run.

  Raises:
    ConfigError: a value is wrong; the message names the first one.
    DataError: the metadata of the records is missing.
    InputError: a path cannot be used because of its file system.
  """
  check_task(params)
  if mode not in ('', *MODES):
    raise ConfigError(
      'The mode is unknown',
      expected=f'one of {list(MODES)}',
      got=repr(mode),
      likely_cause='a misspelled --mode',
    )
  validate_model(params.task.model)
  check_values(params.task, 'task')
  validate_views(params.task)
  validate_runtime(params.runtime)
  check_values(params.trainer, 'trainer')
  _check_paths(params)
  if 'train' in mode:
    trainer_validation.check_training(params.trainer)
    trainer_validation.check_averages(params.trainer, params.runtime)
    trainer_validation.check_rate_by_depth(params.trainer, params.task.model.backbone.type)
  if 'eval' in mode:
    trainer_validation.check_evaluation(params.trainer, mode, params.task)
  data = [('train_data', params.task.train_data)] if 'train' in mode else []
  data += [('validation_data', params.task.validation_data)] if 'eval' in mode else []
  for name, config in data:
    validate_data(config, params.task.model, f'task.{name}', classes)
  if 'train' in mode and params.task.jit_compile:
    _check_static_batches(params.task)


def validate_detection(task: task_config.HTCTask) -> None:
  """Raise ConfigError unless a task whose model is valid can detect without records.

  Types and ranges of all values are checked, and whether those that detection reads fit each other.
  """
  check_values(task, 'task')
  check_sizes(task.validation_data, task.model, 'task.validation_data')
  validate_views(task)


def validate_views(task: task_config.HTCTask) -> None:
  """Raise ConfigError unless the views of test-time augmentation fit each other and the model."""
  parser, views = task.validation_data.parser, task.test_time_augmentation
  if not parser.min_sizes:
    return  # `validate_data` reports it.
  resizing = Resizing(parser.min_sizes[0], parser.max_size)
  rules = detection_views.view_rules(views, resizing)
  others = [rule.resizing for rule in rules if rule.resizing != resizing]
  if others and task.model.uses_static_size:
    raise ConfigError(
      'task.test_time_augmentation.min_sizes does not fit the model',
      expected="no other scales, because Model Garden's proposals or RoI aligner need images of "
      'one size; horizontal_flip works',
      got=f'{others[0].min_size} with a limit of {others[0].max_size}',
      likely_cause='scales for an experiment of the published layout',
    )


def _check_paths(params: cfg.ExperimentConfig) -> None:
  """Raise InputError for a path on a file system that cannot be used; see also `validate_data`."""
  for name in ('init_checkpoint', 'annotation_file'):
    file_systems.check_usable(getattr(params.task, name), f'task.{name}')
  # These folders are inside the model directory.
  for name in ('best_checkpoint_export_subdir', 'validation_summary_subdir'):
    file_systems.check_local(getattr(params.trainer, name), f'trainer.{name}')


def _check_static_batches(task: task_config.HTCTask) -> None:
  """Check that all batches have static shapes, which XLA needs."""
  data = task.train_data
  if not data.drop_remainder or not (data.parser.buckets or task.model.uses_static_size):
    raise ConfigError(
      'The training step cannot be compiled (runtime.enable_xla)',
      expected='task.train_data.drop_remainder=true and static sizes in '
      'task.train_data.parser.buckets, e.g. [{height: 800, width: 1344}]',
      got=f'drop_remainder={data.drop_remainder}, {len(data.parser.buckets)} buckets',
      likely_cause='an experiment in which each batch has another padded size',
    )


def validate_runtime(config: cfg.RuntimeConfig) -> None:
  """Raise ConfigError unless the values are in range, and strategy and precision are supported."""
  check_values(config, 'runtime')
  if config.distribution_strategy in _UNSUPPORTED_STRATEGIES or config.tpu:
    raise ConfigError(
      'TPUs and parameter servers are not supported',
      expected=f'runtime.distribution_strategy as one of {list(STRATEGIES)}, and no --tpu',
      got=f'{config.distribution_strategy}, tpu={config.tpu}',
      likely_cause='a configuration for another model: a training step here counts and stops in '
      'Python on the host, which neither can run',
    )
  if config.distribution_strategy not in STRATEGIES:
    raise ConfigError(
      'runtime.distribution_strategy is unknown',
      expected=f'one of {list(STRATEGIES)}',
      got=repr(config.distribution_strategy),
      likely_cause='a misspelled value',
    )
  if config.mixed_precision_dtype not in (None, *PRECISIONS):
    raise ConfigError(
      'runtime.mixed_precision_dtype is unknown',
      expected=f'one of {list(PRECISIONS)}',
      got=repr(config.mixed_precision_dtype),
      likely_cause='a misspelled value',
    )
  scale = config.loss_scale
  is_number = isinstance(scale, (int, float)) and scale > 0
  if scale is not None and scale != 'dynamic' and not is_number:
    raise ConfigError(
      'runtime.loss_scale is wrong', expected="'dynamic' or a positive number", got=repr(scale)
    )
  if scale is not None and config.mixed_precision_dtype != 'float16':
    raise ConfigError(
      'runtime.loss_scale has no effect',
      expected='mixed_precision_dtype=float16, whose gradients need scaling',
      got=repr(config.mixed_precision_dtype),
      likely_cause='a configuration that was changed from float16 to another type',
    )
