"""Records for tests of what `htc-show` draws: variants of those of `tiny_records`."""

import json

import numpy as np
from PIL import Image

from htc_tf.data import coco_to_tfrecord, mask_codec
from htc_tf.data.dataset_info import DatasetInfo
from tests import tiny_records


def write(folder, prefix='train', change=lambda content: None, sample_format=None, **options):
  """Records of `tiny_records` with changed annotations and options of the conversion.

  Args:
    folder: folder for images, annotations and, in `records`, the records.
    prefix: prefix of the records.
    change: function that changes the content of the annotation file.
    sample_format: channels and depth that the images get; None: RGB of 8 bits.
    **options: options of the conversion.
  """
  tiny_records.write(folder / f'source_{prefix}', prefix)
  source = folder / f'source_{prefix}' / f'{prefix}_source.json'
  content = json.loads(source.read_text())
  change(content)
  if sample_format is not None:
    _store_as(folder / f'source_{prefix}' / f'{prefix}_images', content, sample_format)
    options['channels'] = 'keep'
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


def channels_of(rgb, sample_format):
  """Samples of other channels and depth that are made of an RGB image of 8 bits."""
  channels = [
    rgb[..., index % 3] // (1 + index // 3) for index in range(sample_format.num_channels)
  ]
  factor = 200 if sample_format.bits == 16 else 1
  return (np.stack(channels, axis=-1).astype(np.uint32) * factor).astype(sample_format.dtype)


def _store_as(folder, content, sample_format):
  for image in content['images']:
    path = folder / image['file_name']
    image['file_name'] = f'{path.stem}.npy'
    samples = channels_of(np.asarray(Image.open(path)), sample_format)
    np.save(folder / image['file_name'], samples)


def masks_of(labeled):
  """Masks [height, width] bool of a labeled image."""
  return [mask_codec.decode(mask) for mask in labeled.masks]


def load_info(records, prefix='train'):
  return DatasetInfo.load(str(records / f'{prefix}.json'))


def rename(*names):
  """A change of the names of the categories."""

  def change(content):
    for category, name in zip(content['categories'], names):
      category['name'] = name

  return change
