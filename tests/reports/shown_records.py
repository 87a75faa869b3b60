"""Records for tests of what `htc-show` draws: variants of those of `tiny_records`."""

import json

from htc_tf.data import coco_to_tfrecord
from htc_tf.data.dataset_info import DatasetInfo
from tests import tiny_records


def write(folder, prefix='train', change=lambda content: None, **options):
  """Records of `tiny_records` with changed annotations and options of the conversion.

  Args:
    folder: folder for images, annotations and, in `records`, the records.
    prefix: prefix of the records.
    change: function that changes the content of the annotation file.
    **options: options of the conversion.
  """
  tiny_records.write(folder / f'source_{prefix}', prefix)
  source = folder / f'source_{prefix}' / f'{prefix}_source.json'
  content = json.loads(source.read_text())
  change(content)
  changed = folder / f'{prefix}_changed.json'
  changed.write_text(json.dumps(content))
  coco_to_tfrecord.convert(
    coco_to_tfrecord.ConversionOptions(
      str(changed),
      str(folder / f'source_{prefix}' / f'{prefix}_images'),
      str(folder / 'records'),
      prefix=prefix,
      **{'num_shards': 1, 'num_processes': 1, **options},
    ),
    log=lambda message: None,
  )
  return folder / 'records'


def load_info(records, prefix='train'):
  return DatasetInfo.load(str(records / f'{prefix}.json'))


def rename(*names):
  """A change of the names of the categories."""

  def change(content):
    for category, name in zip(content['categories'], names):
      category['name'] = name

  return change
