"""A folder with the records of the training and validation parts of a data set."""

import os
from typing import NamedTuple

from htc_tf import file_systems
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import DataError

TRAIN = 'train'
# Prefixes of records for validation, in the order of preference.
VAL_PREFIXES = ('val', 'valid', 'validation', 'test')


class DatasetFolder(NamedTuple):
  """The records in a folder.

  Attributes:
    folder: the folder.
    train: metadata of the records with the prefix `train`.
    val: metadata of the records for validation; None if there are none.
    val_prefix: prefix of the records for validation.
  """

  folder: str
  train: DatasetInfo
  val: DatasetInfo | None
  val_prefix: str

  @property
  def train_pattern(self) -> str:
    """Glob pattern of the records for training."""
    return os.path.join(self.folder, f'{TRAIN}-*.tfrecord')

  @property
  def val_pattern(self) -> str:
    """Glob pattern of the records for validation."""
    return os.path.join(self.folder, f'{self.val_prefix}-*.tfrecord')


def find(folder: str) -> DatasetFolder:
  """The records in a folder.

  Args:
    folder: output folder of `htc-create-coco-records`.

  Raises:
    DataError: there is no metadata of records for training.
    InputError: TensorFlow cannot use the file system of the folder.
  """
  file_systems.check_usable(folder, '--data')
  if not file_systems.exists(_metadata(folder, TRAIN)):
    names = sorted(map(os.path.basename, file_systems.glob(os.path.join(folder, '*'))))
    raise DataError(
      f'{folder} holds no records for training',
      expected=f'{TRAIN}.json and {TRAIN}-*.tfrecord, as htc-create-coco-records writes them',
      got=', '.join(names[:8]) + (', ...' if len(names) > 8 else '') or 'no such files',
      likely_cause='a folder of images or annotations: convert them with '
      'htc-create-coco-records --annotations=... --output_folder=data --val_fraction=0.2; or a '
      f'conversion with another --prefix than {TRAIN}',
    )
  prefix = val_prefix(folder)
  return DatasetFolder(
    folder,
    DatasetInfo.load(_metadata(folder, TRAIN)),
    DatasetInfo.load(_metadata(folder, prefix)) if prefix else None,
    prefix or VAL_PREFIXES[0],
  )


def val_prefix(folder: str) -> str | None:
  """Prefix of the records for validation in a folder; None if there are none."""
  return next((p for p in VAL_PREFIXES if file_systems.exists(_metadata(folder, p))), None)


def _metadata(folder: str, prefix: str) -> str:
  return os.path.join(folder, f'{prefix}.json')
