"""Fixtures of the tests of the data package: a tiny data set in COCO format on disk."""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from htc_tf.data import coco_to_tfrecord, conversion_options, dataset_info, example_decoder

# Image id to size: landscape with two instances and a crowd; portrait with one; without instances.
SIZES_HW = {7: (24, 40), 9: (40, 24), 12: (16, 16)}


def rectangle(left, top, width, height):
  """The polygon of a rectangle."""
  return [left, top, left + width, top, left + width, top + height, left, top + height]


def annotation(id_, image_id, category_id, box, **changes: Any) -> dict[str, Any]:
  """An annotation of a rectangle; `changes` replace entries, and None removes an entry."""
  entry = {
    'id': id_,
    'image_id': image_id,
    'category_id': category_id,
    'bbox': list(box),
    'iscrowd': 0,
    'area': float(box[2] * box[3]),
    'segmentation': [rectangle(*box)],
    **changes,
  }
  return {key: value for key, value in entry.items() if value is not None}


@dataclasses.dataclass
class CocoFolder:
  """A data set on disk.

  Attributes:
    root: folder of images, annotations and records.
    content: content of the annotation file; a test may change it before the conversion.
  """

  root: pathlib.Path
  content: dict[str, Any]

  @property
  def annotation_file(self) -> str:
    return str(self.root / 'annotations.json')

  @property
  def images(self) -> pathlib.Path:
    return self.root / 'images'

  @property
  def output(self) -> pathlib.Path:
    return self.root / 'records'

  def save(self) -> 'CocoFolder':
    pathlib.Path(self.annotation_file).write_text(json.dumps(self.content), encoding='utf-8')
    return self

  def options(self, **changes) -> conversion_options.ConversionOptions:
    values = {'num_shards': 2, **changes}
    return conversion_options.ConversionOptions(
      self.annotation_file, str(self.images), str(self.output), **values
    )

  def convert(self, **changes) -> tuple[dataset_info.DatasetInfo, str]:
    """Save `content` and convert the data set; returns the metadata and the summary."""
    lines = []
    info = coco_to_tfrecord.convert(self.save().options(**changes), lines.append)
    return info, '\n'.join(lines)

  def records(self, include_mask=True, include_semantic=False) -> dict[int, dict[str, Any]]:
    """Decoded records by image id."""
    decoder = example_decoder.ExampleDecoder(include_mask, include_semantic)
    paths = sorted(str(path) for path in self.output.glob('train-*.tfrecord'))
    dataset = tf.data.TFRecordDataset(paths).map(decoder.decode)
    return {int(record['source_id']): record for record in dataset.as_numpy_iterator()}

  def shard_bytes(self) -> dict[str, bytes]:
    """Content of the shards by file name."""
    return {path.name: path.read_bytes() for path in self.output.glob('*.tfrecord')}


@pytest.fixture
def coco(tmp_path) -> CocoFolder:
  """A data set with category ids 3 and 8 (labels 1 and 2), and a crowd in uncompressed counts."""
  (tmp_path / 'images').mkdir()
  rng = np.random.default_rng(0)
  entries = []
  for id_, (height, width) in SIZES_HW.items():
    pixels = rng.integers(0, 256, [height, width, 3], dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'images' / f'{id_}.png')
    entries.append({'id': id_, 'file_name': f'{id_}.png', 'height': height, 'width': width})
  crowd = {'size': [24, 40], 'counts': [24 * 30, 24 * 10]}  # the right quarter
  annotations = [
    annotation(101, 7, 8, (2, 3, 10, 5)),
    annotation(102, 7, 3, (8, 6, 12, 9)),
    annotation(103, 7, 3, (30, 0, 10, 24), iscrowd=1, segmentation=crowd),
    annotation(104, 9, 8, (4, 10, 9, 20)),
  ]
  content = {
    'info': {'description': 'test'},
    'images': entries,
    'annotations': annotations,
    'categories': [{'id': 8, 'name': 'dog'}, {'id': 3, 'name': 'cat'}],
  }
  return CocoFolder(tmp_path, content).save()
