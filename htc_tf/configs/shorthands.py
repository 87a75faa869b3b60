"""Flags of the training command that stand for several values of the configuration."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import yaml
from absl import logging
from official.core import config_definitions as cfg

from htc_tf import file_systems
from htc_tf.configs import (
  agreement,
  fitted_schedule,
  fitting,
  frozen_stages,
  parsing,
  sizes,
  validation,
)
from htc_tf.configs.frames import Resizing
from htc_tf.configs.parsing import Parsed
from htc_tf.data import dataset_folder
from htc_tf.data.dataset_folder import DatasetFolder
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import ConfigError

DEFAULT_SIZE = 'small'
_FEW_IMAGES = 1000
_PARSER = 'task.train_data.parser.'
_SHORT_SIDES = {f'{_PARSER}min_sizes', f'{_PARSER}min_size_range'}
_SIZES_OF_IMAGES = {*_SHORT_SIDES, f'{_PARSER}max_size'}
TrainedScale: TypeAlias = Callable[[str, float], float | None]


@dataclasses.dataclass(frozen=True)
class Shorthands:
  """Values of the flags; None for a flag that is not given.

  Attributes:
    data: folder of records, to which the experiment is fitted.
    size: name of a size of the model; see `sizes.SIZES`.
    epochs: number of passes over the training images.
    weights: initial weights; see `task.init_checkpoint`.
    batch_size: number of images per step.
    image_size: limit of the long side of resized images in pixels; the short side keeps its
      proportion to it.

  Raises:
    ConfigError: a number is out of range, or the size is unknown.
  """

  data: str | None = None
  size: str | None = None
  epochs: int | None = None
  weights: str | None = None
  batch_size: int | None = None
  image_size: int | None = None

  def __post_init__(self) -> None:
    for name in ('epochs', 'batch_size', 'image_size'):
      value = getattr(self, name)
      if value is not None and value < 1:
        raise ConfigError(f'--{name} is out of range', expected='1 or more', got=str(value))
    if self.size is not None and self.size not in sizes.SIZES:
      raise ConfigError(
        '--size is unknown',
        expected=' or '.join(sizes.SIZES),
        got=repr(self.size),
        likely_cause='a misspelled name',
      )

  @property
  def given(self) -> dict[str, Any]:
    """The values that are given, by name of the flag."""
    return {name: value for name, value in vars(self).items() if value is not None}


def experiment_name(shorthands: Shorthands, experiment: str | None) -> str:
  """Name of the experiment that flags ask for.

  Args:
    shorthands: values of the flags.
    experiment: the experiment that is named; None or '' for none.

  Raises:
    ConfigError: there is neither an experiment nor data, or both an experiment and a size.
  """
  if experiment and shorthands.size:
    raise ConfigError(
      '--experiment and --size do not go together',
      expected='one of them',
      got=f'--experiment={experiment}, --size={shorthands.size}',
      likely_cause=f'--size={shorthands.size} stands for '
      f'--experiment={sizes.SIZES[shorthands.size].experiment}',
    )
  if experiment:
    return experiment
  if not (shorthands.data or shorthands.size):
    raise ConfigError(
      'It is not said what to train',
      expected='--data=FOLDER, with --size if wanted, or --experiment=NAME',
      got='none of them',
      likely_cause='a first run: htc-train --data=data --size=small --epochs=100 --model_dir=model '
      'trains on the records that htc-create-coco-records wrote to data/',
    )
  return sizes.SIZES[shorthands.size or DEFAULT_SIZE].experiment


def resolve(
  shorthands: Shorthands,
  experiment: str,
  config_files: Sequence[str] = (),
  params_override: str | Sequence[str] = (),
  trained_scale: TrainedScale = lambda _, default: default,
  has_gpu: bool = False,
) -> tuple[Parsed, dict[str, Any]]:
  """The experiment that all flags describe, and the overrides that the shorthands stand for.

  Published files belong to the experiment. Other files and texts come after the shorthands, so that
  they can change what those stand for.

  Args:
    shorthands: values of the flags.
    experiment: name of the registered experiment.
    config_files: YAML files with overrides.
    params_override: texts with overrides.
    trained_scale: function from the path of initial weights and the scale of the experiment's
      anchors to the scale that the weights were trained with, or None if they have no RPN.
    has_gpu: whether TensorFlow finds a GPU; then a flag of the shorthands stands for its use too.

  Raises:
    ConfigError: a value is out of range or contradicts another one, or a key is unknown.
    DataError: `--data` names no records for training.
  """
  published, written = parsing.read(config_files, params_override)
  base, typed_params = (parsing.starting_point(experiment, published) for _ in range(2))
  if shorthands.given:
    validation.check_task(base)
  typed = Parsed(typed_params, base, parsing.apply_all(typed_params, written))
  folder = dataset_folder.find(shorthands.data) if shorthands.data else None
  values: dict[str, Any] = {}
  for part in _parts(shorthands, experiment, typed, folder, trained_scale):
    parsing.apply_all(typed.params, [part])
    _update(values, part)
  if has_gpu and shorthands.given:
    _update(values, {'runtime': {'num_gpus': 1}})
  parsed = parsing.parse_changes(experiment, published, [values, *written])
  agreement.check(shorthands.given, folder, parsed.params, typed.changed)
  return parsed, values


def has_validation_records(params: cfg.ExperimentConfig) -> bool:
  """Whether there are records that an experiment can be evaluated on."""
  pattern = params.task.validation_data.input_path
  patterns = pattern.split(',') if isinstance(pattern, str) else pattern
  return any(file_systems.glob(path.strip()) for path in patterns)


def mode_for(params: cfg.ExperimentConfig) -> str:
  """Mode of a run that is given none: with evaluations if there are records for validation."""
  if has_validation_records(params):
    return 'train_and_eval'
  logging.warning(
    '%s matches no records for validation: the model is trained without any measure of its quality '
    '(--mode=train). htc-create-coco-records --val_fraction=0.2 sets images aside.',
    params.task.validation_data.input_path,
  )
  return 'train'


def describe(shorthands: Shorthands, experiment: str, mode: str, values: dict[str, Any]) -> str:
  """Text about what the flags stand for, as flags of the training command and a YAML file.

  Args:
    shorthands: values of the flags.
    experiment: name of the experiment.
    mode: mode of the run.
    values: the overrides that the flags stand for.
  """
  flags = ' '.join(f'--{name}={value}' for name, value in shorthands.given.items())
  text = yaml.safe_dump(values, default_flow_style=None, sort_keys=False, width=100)
  lines = ''.join(f'\n  {line}' for line in text.splitlines())
  return f'{flags} stands for --experiment={experiment} --mode={mode} and{lines}'


def _parts(
  shorthands: Shorthands,
  experiment: str,
  typed: Parsed,
  folder: DatasetFolder | None,
  trained_scale: TrainedScale,
) -> Iterator[dict[str, Any]]:
  """Overrides in order; each is computed when those before it are applied to `typed.params`.

  Args:
    shorthands: values of the flags.
    experiment: name of the experiment.
    typed: the experiment with the overrides that the user typed.
    folder: the records of `--data`.
    trained_scale: see `resolve`.
  """
  yield _named_values(shorthands)
  params = typed.params
  size = sizes.of_experiment(experiment)
  starts_random = not params.task.init_checkpoint
  if folder is not None:
    resizing = _resizing(shorthands, params, folder, typed.changed)
    anchor_scale = _anchor_scale(params, size, trained_scale)
    yield fitting.fitted_values(folder, params, resizing, anchor_scale)
    if size is not None and size.is_published and starts_random:
      _warn_of_random_weights(size, folder.train)
      yield frozen_stages.trained_norms()
    if not starts_random and frozen_stages.KEY not in typed.changed:
      yield frozen_stages.trained_stem(params, folder.train.sample_format.num_channels)
  if folder is not None or shorthands.epochs is not None:
    info = folder.train if folder else DatasetInfo.find(params.task.train_data.input_path)
    num_images = info.num_training_images(params.task.train_data.published_selection)
    yield fitted_schedule.schedule_values(experiment, shorthands.epochs, typed, num_images)


def _anchor_scale(
  params: cfg.ExperimentConfig, size: sizes.Size | None, trained_scale: TrainedScale
) -> float | None:
  """Scale of the anchors that initial weights or an experiment have; None if the data decide."""
  scale: float = params.task.model.anchor.scale
  weights = params.task.init_checkpoint
  found = trained_scale(weights, scale) if weights else None
  return scale if found is None and size is None else found


def _named_values(shorthands: Shorthands) -> dict[str, Any]:
  """Overrides of the flags that stand for one value."""
  if shorthands.image_size is not None and shorthands.data is None:
    raise ConfigError(
      '--image_size needs --data',
      expected='a folder of records, to which padded sizes are fitted',
      got=f'--image_size={shorthands.image_size} alone',
      likely_cause='an experiment with sizes of its own: set task.train_data.parser.min_sizes, '
      'max_size and buckets, the same of validation_data, and task.model.input_size',
    )
  task: dict[str, Any] = {}
  if shorthands.weights is not None:
    task['init_checkpoint'] = shorthands.weights
  if shorthands.batch_size is not None:
    task['train_data'] = {'global_batch_size': shorthands.batch_size}
  return {'task': task} if task else {}


def _resizing(
  shorthands: Shorthands, params: cfg.ExperimentConfig, folder: DatasetFolder, typed: frozenset[str]
) -> Resizing:
  """The rule for resizing, fitted to the data unless a flag or an override gives its sizes.

  Of several short sides it has the longest one, so that padded sizes hold all images.
  """
  parser = params.task.train_data.parser
  short_sides = parser.min_size_range or parser.min_sizes
  resizing = Resizing(max([1, *short_sides]), parser.max_size)
  if shorthands.image_size is None:
    statistics = fitting.statistics_of(folder)
    is_typed = bool(typed & _SIZES_OF_IMAGES)
    return resizing if is_typed else fitting.fitted_resizing(resizing, statistics)
  if typed & _SHORT_SIDES:
    return resizing._replace(max_size=shorthands.image_size)
  factor = shorthands.image_size / resizing.max_size
  return Resizing(max(1, round(resizing.min_size * factor)), shorthands.image_size)


def _warn_of_random_weights(size: sizes.Size, info: DatasetInfo) -> None:
  if info.num_images < _FEW_IMAGES:
    logging.warning(
      'The size %s starts from random weights with %d training images, which is too few for a '
      'model of this size. Pass --weights=FILE with a published HTC or an ImageNet ResNet '
      '(torchvision, mmcls), or take --size=small.',
      size.name,
      info.num_images,
    )


def _update(values: dict[str, Any], part: dict[str, Any]) -> None:
  """Add the entries of nested dictionaries to others."""
  for key, value in part.items():
    if isinstance(value, dict) and isinstance(values.get(key), dict):
      _update(values[key], value)
    else:
      values[key] = value
