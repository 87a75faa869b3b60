"""Loading of the models that detect together, or of the only one."""

import dataclasses
import os
from collections.abc import Sequence

from absl import logging

from htc_tf import file_systems, files
from htc_tf.checkpoints import model_directory, restoration
from htc_tf.configs import overrides, validation
from htc_tf.configs import task as task_config
from htc_tf.configs.detection_views import overrides_of
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.data.scales import Scale
from htc_tf.errors import CheckpointError, InputError
from htc_tf.modeling import ensemble
from htc_tf.modeling.ensemble import Joining, Member
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.precision import computing_in
from htc_tf.tasks import detection_views
from htc_tf.tasks.htc import HTCTask


@dataclasses.dataclass(frozen=True)
class LoadedModel:
  """A model with its weights, and what is recorded beside them.

  Attributes:
    checkpoint: prefix of its checkpoint.
    config: configuration of its task.
    model: the model.
    dataset_info: its classes; None if they are not recorded.
  """

  checkpoint: str
  config: task_config.HTCTask
  model: HTCModel
  dataset_info: DatasetInfo | None

  @property
  def member(self) -> Member:
    """The model with the views that its configuration names."""
    return detection_views.member(self.config, self.model)

  def scales(self, is_alone: bool) -> list[Scale]:
    """The scales at which it sees an image, with its normalization.

    Args:
      is_alone: whether the images of a batch are at no other scales.
    """
    normalization = self.config.model.normalization
    return [
      scale._replace(normalization=normalization)
      for scale in detection_views.scales(self.config, is_alone)
    ]


@dataclasses.dataclass(frozen=True)
class Ensemble:
  """Models that detect together with the one that is named first.

  Attributes:
    paths: model directories or checkpoint prefixes; each has its configuration beside it.
    level: 'rois' or 'detections'; see `modeling.ensemble.Joining`.

  Raises:
    InputError: (when made) there is no such level, or the paths are no list of paths.
  """

  paths: Sequence[files.PathLike] = ()
  level: str = ensemble.ROIS

  def __post_init__(self):
    is_list = isinstance(self.paths, Sequence) and not isinstance(self.paths, (str, bytes))
    if not is_list or not all(isinstance(path, (str, os.PathLike)) for path in self.paths):
      raise InputError(
        'The models of the ensemble cannot be read',
        expected='a list of paths',
        got=repr(self.paths),
        likely_cause='a single path without brackets, or a variable that was not set',
      )
    if self.level not in ensemble.LEVELS:
      raise InputError(
        'The level of the ensemble is unknown',
        expected=f'one of {", ".join(ensemble.LEVELS)}',
        got=repr(self.level),
        likely_cause='a misspelled level',
      )

  def check(self) -> None:
    """Raise an error unless each path names a checkpoint with its configuration beside it.

    It is called before anything takes time.

    Raises:
      CheckpointError: there is no checkpoint, or no configuration.
      InputError: TensorFlow cannot use the file system of a path.
    """
    for path in self.paths:
      file_systems.check_usable(os.fspath(path), 'The path of another model (--ensemble)')
      prefix = restoration.resolve(os.fspath(path))
      configuration = os.path.join(file_systems.dirname(prefix), model_directory.PARAMS_FILE)
      if not file_systems.exists(configuration):
        raise CheckpointError(
          'A model of the ensemble has no configuration',
          expected=f'{model_directory.PARAMS_FILE} beside {prefix}',
          got='none',
          likely_cause='a bare checkpoint; an experiment (--experiment) is that of the first model '
          'alone',
        )

  @property
  def joining(self) -> Joining:
    """How the results of the models become one."""
    return Joining(self.level)

  def describe(self) -> str:
    """The further models in words; '' if there are none."""
    if not self.paths:
      return ''
    others = ', '.join(os.fspath(path) for path in self.paths)
    return f'joined at the level of {self.level} with {others}'


def as_ensemble(others: Ensemble | Sequence[files.PathLike]) -> Ensemble:
  """The models that detect together with another one.

  Args:
    others: them, or their paths.

  Raises:
    InputError: they are no list of paths.
  """
  return others if isinstance(others, Ensemble) else Ensemble(others)


def load_one(
  path: files.PathLike,
  experiment: str | None = None,
  params_override: str | Sequence[str] = '',
  tta: str | None = None,
) -> LoadedModel:
  """A model with its weights; the arguments and errors are those of `loading.load_model`."""
  if not isinstance(path, (str, os.PathLike)):
    raise InputError(
      'The model cannot be loaded',
      expected='a path',
      got=repr(path),
      likely_cause='a variable that was not set',
    )
  path = os.fspath(path)
  file_systems.check_usable(path, 'The model path (--model)')
  prefix = restoration.resolve(path)
  folder = file_systems.dirname(prefix)
  params = model_directory.load_experiment(folder, experiment, params_override)
  if tta is not None:
    overrides.apply(params, overrides_of(tta))
  validation.validate_detection(params.task)
  with computing_in(params.runtime.mixed_precision_dtype):
    model = HTCTask(params.task).build_model()
  restoration.restore(prefix, {'model': model})
  return LoadedModel(prefix, params.task, model, model_directory.load_dataset_info(folder))


def load_others(
  first: LoadedModel,
  others: Ensemble,
  params_override: str | Sequence[str] = '',
  tta: str | None = None,
) -> list[LoadedModel]:
  """The further models of an ensemble.

  Args:
    first: the model that is named first.
    others: the further ones.
    params_override: overrides of the configuration of each.
    tta: test-time augmentation of each; None for that of its configuration.

  Raises:
    InputError: a model has other classes, images or masks than the first one.
    CheckpointError, ConfigError: as for `loading.load_model`.
  """
  loaded: list[LoadedModel] = []
  for path in others.paths:
    other = load_one(path, None, params_override, tta)
    _check_fits(first, other, others.level)
    _warn_if_named_before(other, [first, *loaded])
    loaded.append(other)
  return loaded


def _warn_if_named_before(other: LoadedModel, before: Sequence[LoadedModel]) -> None:
  """Log a warning if a model of an ensemble is one that was named before."""
  if file_systems.in_real_folder(other.checkpoint) in [
    file_systems.in_real_folder(it.checkpoint) for it in before
  ]:
    logging.warning(
      '%s is in the ensemble twice: detection takes longer, and its results count twice',
      other.checkpoint,
    )


def _check_fits(first: LoadedModel, other: LoadedModel, level: str) -> None:
  """Raise InputError unless a model can detect together with the first one."""
  for what, of_first, of_other in (
    ('classes', _classes(first), _classes(other)),
    ('images', str(first.config.model.sample_format), str(other.config.model.sample_format)),
    ('masks', _masks(first, level), _masks(other, level)),
    ('area ranges', _ranges(first, level), _ranges(other, level)),
  ):
    if of_first != of_other:
      raise InputError(
        f'The models cannot detect together: they have different {what}',
        expected=f'{of_first} as in {first.checkpoint}',
        got=f'{of_other} in {other.checkpoint}',
        likely_cause='a model of other data or of another kind; models of one ensemble are trained '
        'for the same categories in the same order',
      )


def _classes(loaded: LoadedModel) -> str:
  info = loaded.dataset_info
  if info is None:
    return f'{loaded.config.model.num_classes - 1} categories without names'
  return ', '.join(info.category_names)


def _masks(loaded: LoadedModel, level: str) -> str:
  config = loaded.config.model
  if not config.include_mask:
    return 'no masks'
  if level != ensemble.ROIS:
    return 'masks'  # Their fusion moves masks to other boxes, so that their size does not matter.
  side = 2 * config.mask_head.crop_size
  return f'masks of {side} x {side} cells'


def _ranges(loaded: LoadedModel, level: str) -> str:
  has_ranges = bool(detection_views.fusion(loaded.config).area_ranges)
  return 'area ranges' if level == ensemble.ROIS and has_ranges else 'no area ranges'
