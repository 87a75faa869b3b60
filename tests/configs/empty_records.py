"""Records that only checks of a configuration read: metadata beside an empty shard."""

import pathlib

from htc_tf.data import dataset_info
from tests import tiny

INFO = dataset_info.DatasetInfo(
  name='pets',
  num_images=3,
  num_instances=4,
  num_shards=1,
  categories=tuple(dataset_info.Category(i, f'c{i}', i) for i in (1, 2, 3)),
  semantic=dataset_info.SemanticInfo('instances', tiny.NUM_SEMANTIC),
  include_masks=True,
  annotation_file='train_annotations.json',
)


def write(folder: pathlib.Path, info: dataset_info.DatasetInfo = INFO) -> None:
  """Write the metadata `train.json` and an empty shard `train-00000-of-00001.tfrecord`."""
  info.save(str(folder / 'train.json'))
  (folder / 'train-00000-of-00001.tfrecord').write_bytes(b'')
