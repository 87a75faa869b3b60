"""The records of `scenes`, for trainings on it."""

import os
from collections.abc import Mapping

from benchmarks.scenes import dataset

_NUM_SHARDS = 4


def prepare(folder: str, numbers: Mapping[str, int] | None = None) -> str:
  """Write pictures to `scenes` and records to `records`, unless they exist.

  Args:
    folder: folder of both; it is created if missing.
    numbers: number of pictures by split; those of training and validation if not given.

  Returns:
    The folder of the records.

  Raises:
    DataError: the folder has pictures that this version does not paint.
  """
  from htc_tf.data import coco_to_tfrecord

  scenes, records = os.path.join(folder, 'scenes'), os.path.join(folder, 'records')
  numbers = numbers or {split: dataset.SPLITS[split] for split in ('train', 'val')}
  for split, number in numbers.items():
    if os.path.exists(os.path.join(scenes, f'{split}.json')):
      dataset.check(scenes, split)
    else:
      dataset.write(scenes, numbers={split: number})
    if os.path.exists(os.path.join(records, f'{split}.json')):
      continue
    coco_to_tfrecord.convert(
      coco_to_tfrecord.ConversionOptions(
        annotation_file=os.path.join(scenes, f'{split}.json'),
        image_folder=os.path.join(scenes, split),
        output_folder=records,
        prefix=split,
        num_shards=_NUM_SHARDS,
        semantic='stuff_maps',
        stuff_folder=os.path.join(scenes, f'{split}_stuff'),
        num_semantic_classes=len(dataset.SEMANTIC_CLASSES),
      )
    )
  return records
