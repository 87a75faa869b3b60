"""Options of `htc-show`, and their checks."""

import dataclasses
import os

from htc_tf import file_systems
from htc_tf.checkpoints import model_directory
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import InputError

# Pictures of more samples or views would need gigabytes.
_RANGES = (('samples', 1, 500), ('views', 1, 100), ('seed', 0, 2**31 - 1))


@dataclasses.dataclass(frozen=True)
class SampleOptions:
  """What is shown, and where it is written.

  Attributes:
    data: folder of records, or pattern of shards; empty: the training data of `model`.
    output: folder to write to; empty: `show` in the folder of the records.
    split: name of the only split to show; empty: all.
    samples: number of images of each split; more are shown if a class would not be seen.
    views: number of choices of the augmentations for each image that is shown as in training.
    seed: seed of the choice of images and of the augmentations.
    images: ids or file names of the images to show; empty: a choice.
    classes: names of classes, of which each image has at least one; empty: all.
    model: directory of a run whose configuration is used for the training view.
    experiment: registered experiment for the training view.
    size: size of the model in the place of an experiment; None for the default.
    image_size: limit of the long side of resized images in pixels; None for that of the size.
    params_override: overrides of the configuration.
  """

  data: str = ''
  output: str = ''
  split: str = ''
  samples: int = 12
  views: int = 4
  seed: int = 0
  images: tuple[str, ...] = ()
  classes: tuple[str, ...] = ()
  model: str = ''
  experiment: str = ''
  size: str | None = None
  image_size: int | None = None
  params_override: tuple[str, ...] = ()


def check(options: SampleOptions) -> None:
  """Raise InputError for a value that is out of range, for a remote output, and if data miss."""
  file_systems.check_local(options.output, '--output')
  if options.model:
    file_systems.check_usable(options.model, '--model')
  for name, lowest, highest in _RANGES:
    value = getattr(options, name)
    if not lowest <= value <= highest:
      raise InputError(f'--{name} is out of range', expected=f'{lowest}..{highest}', got=str(value))
  if not (options.data or options.model):
    raise InputError(
      'There is nothing to show',
      expected='a folder of records, or --model',
      got='neither',
      likely_cause='a forgotten argument: htc-show data',
    )


def data_patterns(options: SampleOptions) -> str:
  """The folder or patterns of the records: as given, or the training data of the model.

  Raises:
    CheckpointError: the model directory has no configuration.
    ConfigError: its configuration cannot be read.
  """
  if options.data:
    return options.data
  params = model_directory.load_experiment(options.model, None, options.params_override)
  paths = params.task.train_data.input_path
  return paths if isinstance(paths, str) else ','.join(paths)


def output_of(options: SampleOptions, info: DatasetInfo) -> str:
  """The folder to write to.

  Args:
    options: the options.
    info: metadata of the records.

  Raises:
    InputError: no folder is given, and the records are remote.
  """
  folder = options.output or os.path.join(info.folder, 'show')
  if file_systems.is_remote(folder):
    raise InputError(
      'The pictures need a local folder',
      expected='--output with a local folder',
      got=f'no --output, and records in {info.folder}',
    )
  return folder
