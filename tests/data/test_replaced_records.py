"""Tests of what a conversion to records may replace in its output folder."""

import dataclasses
import json

import pytest

from htc_tf.data import coco_to_tfrecord
from htc_tf.errors import ConfigError


def test_the_annotation_file_is_not_overwritten(coco):
  options = dataclasses.replace(coco.options(prefix='annotations'), output_folder=str(coco.root))
  with pytest.raises(ConfigError, match='would overwrite its annotation file'):
    coco_to_tfrecord.convert(options)


def save_elsewhere(coco):
  """The data set's annotations in another file."""
  path = coco.root / 'other.json'
  path.write_text(json.dumps(coco.content), encoding='utf-8')
  return str(path)


def test_records_of_another_annotation_file_are_not_replaced(coco):
  coco.convert()
  before = {path.name: path.read_bytes() for path in coco.output.iterdir()}
  del coco.content['annotations'][0]
  options = coco.save().options()
  other = dataclasses.replace(options, annotation_file=save_elsewhere(coco))
  with pytest.raises(ConfigError, match=r'would overwrite .*train.json.*--prefix=val; --overwrite'):
    coco_to_tfrecord.convert(other, print)
  assert {path.name: path.read_bytes() for path in coco.output.iterdir()} == before
  info = coco_to_tfrecord.convert(dataclasses.replace(other, overwrite=True), print)
  assert info.num_instances == 3


def test_records_of_an_unknown_annotation_file_are_not_replaced(coco):
  """Metadata of earlier versions does not name the file."""
  coco.convert()
  path = coco.output / 'train.json'
  path.write_text(json.dumps({**json.loads(path.read_text()), 'source': ''}))
  before = {path.name: path.read_bytes() for path in coco.output.iterdir()}
  del coco.content['annotations'][0]
  with pytest.raises(ConfigError, match=r'would overwrite .*records of an unknown file'):
    coco_to_tfrecord.convert(coco.save().options(), print)
  assert {path.name: path.read_bytes() for path in coco.output.iterdir()} == before


def test_records_of_the_same_annotation_file_are_replaced(coco):
  coco.convert()
  del coco.content['annotations'][0]
  info, _ = coco.convert()
  assert info.num_instances == 3


@pytest.mark.parametrize('name', ['train_annotations.json', 'train-00000-of-00002.tfrecord'])
def test_a_file_of_another_program_is_not_replaced(coco, name):
  coco.output.mkdir()
  (coco.output / name).write_text('mine')
  with pytest.raises(ConfigError, match=f'would overwrite .*{name}'):
    coco.convert()
  assert (coco.output / name).read_text() == 'mine'
  info, _ = coco.convert(overwrite=True)
  assert info.num_instances == 4
