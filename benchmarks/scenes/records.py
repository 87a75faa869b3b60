"""The records of `scenes`, for trainings on it."""

import os
from collections.abc import Sequence

from benchmarks.scenes import dataset

_NUM_SHARDS = 4


def prepare(folder: str, splits: Sequence[str] = ('train', 'val')) -> str:
  """Write pictures to `scenes` and records to `records`, unless they exist.

  Args:
    folder: folder of both; it is created if missing.
    splits: names in `dataset.SPLITS`.

  Returns:
    The folder of the records.

  Raises:
    DataError: the folder has pictures that this version does not paint.
  """
  from htc_tf.data import coco_to_tfrecord

  scenes, records = os.path.join(folder, 'scenes'), os.path.join(folder, 'records')
  for split in splits:
    if os.path.exists(os.path.join(scenes, f'{split}.json')):
      dataset.check(scenes, split)
    else:
      dataset.write(scenes, numbers={split: dataset.SPLITS[split]})
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
