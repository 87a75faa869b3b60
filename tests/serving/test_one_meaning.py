"""Tests that a file means the same pixels wherever it is read.

One file of every kind goes through the five readers: conversion to records, `htc-predict`,
`htc-client`, the signature of an export for encoded images, and `read_image` for `load_model`.
NumPy computes the expected pixels from the numbers that were stored, or from Pillow's raw samples
where a lossy file has its own.
"""

import json
import os

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.cli import client as client_command
from htc_tf.cli import predict as predict_command
from htc_tf.data import (
  coco_to_tfrecord,
  conversion_options,
  example_decoder,
  images,
  preprocess,
)
from htc_tf.data.sample_format import RGB
from htc_tf.errors import DataError
from htc_tf.serving import client, detectors, encoded_images, predict_files
from htc_tf.serving.instances import Instances
from htc_tf.serving.target import Connection, Target
from tests.serving import image_kinds


class _Recorder:
  """A stub for a predictor whose network input is the image itself, padded to 32x32."""

  max_hws = ((32, 32),)
  sample_format = RGB

  def prepare(self, pixels):
    size = tf.shape(pixels)[:2]
    return tf.cast(pixels, tf.float32), preprocess.image_info(size, size)

  def prepare_others(self, pixels):
    return ()


_prepare = tf.function(
  lambda elements: encoded_images.prepare(elements, _Recorder(), 10**6),
  autograph=False,
  input_signature=[tf.TensorSpec([None], tf.string)],
)


def _served_pixels(content):
  """The pixels that the signature of an export decodes, or None if it refuses the file."""
  inputs, info, codes = (value.numpy()[0] for value in _prepare(tf.constant([content]))[:3])
  height, width = info[0].astype(int)
  return None if codes else inputs[:height, :width].astype(np.uint8)


def _by_conversion(path, height, width):
  folder, name = os.path.split(path)
  box = [0, 0, width, height]
  outline = [0, 0, width, 0, width, height, 0, height]
  content = {
    'images': [{'id': 1, 'file_name': name, 'height': height, 'width': width}],
    'categories': [{'id': 1, 'name': 'a'}],
    'annotations': [
      {'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': box, 'segmentation': [outline]}
    ],
  }
  annotation_file = f'{path}.json'
  with open(annotation_file, 'w', encoding='utf-8') as file:
    json.dump(content, file)
  options = conversion_options.ConversionOptions(
    annotation_file, folder, f'{path}.records', num_shards=1, num_processes=1
  )
  coco_to_tfrecord.convert(options, lambda line: None)
  record = f'{path}.records/train-00000-of-00001.tfrecord'
  dataset = tf.data.TFRecordDataset(record).map(example_decoder.ExampleDecoder(True, False).decode)
  return next(dataset.as_numpy_iterator())['image']


def _no_instances():
  return Instances(np.zeros([0, 4], np.float32), np.zeros([0], int), np.zeros([0]), [])


def _by_predict(path, monkeypatch, read):
  def detect(batch):
    read.extend(image.pixels() for image in batch)
    return [_no_instances() for _ in batch]

  monkeypatch.setattr(
    detectors, 'load_detector', lambda *_: predict_files.Detector(detect, ['a'], [1])
  )
  return predict_command.main(['--model=none', f'--output={path}.predicted', path])


def _by_client(path, monkeypatch, read):
  """The client with a server that decodes as an export does."""

  def call(contents):
    pixels = [_served_pixels(content) for content in contents]
    read.extend(value for value in pixels if value is not None)
    count = len(contents)
    return {
      'detection_boxes': np.zeros([count, 1, 4], np.float32),
      'detection_scores': np.zeros([count, 1], np.float32),
      'detection_classes': np.zeros([count, 1], np.int32),
      'num_detections': np.zeros([count], np.int32),
      'error_code': np.array([int(value is None) for value in pixels]),
    }

  connection = Connection(Target('http://none'), call)
  monkeypatch.setattr(client, 'connect', lambda target: connection)
  return client_command.main(['--server=http://none', f'--output={path}.sent', path])


@pytest.mark.parametrize('kind', image_kinds.KINDS, ids=lambda kind: kind.name)
def test_all_readers_give_the_same_pixels(kind, tmp_path, monkeypatch, caplog):
  path = str(tmp_path / kind.name)
  with open(path, 'wb') as file:
    file.write(kind.content)
  served = _served_pixels(kind.content)
  predicted, sent = [], []
  statuses = [_by_predict(path, monkeypatch, predicted), _by_client(path, monkeypatch, sent)]
  if isinstance(kind.expected, str):
    assert served is None and statuses == [1, 1] and not predicted and not sent
    with pytest.raises(DataError, match=kind.expected):
      images.read_image(path).pixels()
    with pytest.raises(DataError, match=kind.expected):
      _by_conversion(path, *image_kinds.HW)
    assert len([r for r in caplog.records if 'choose the range' in r.getMessage()]) == 2
    return
  assert statuses == [0, 0]
  size = kind.expected.shape[:2]
  for pixels in (*predicted, *sent, images.read_image(path).pixels(), _by_conversion(path, *size)):
    np.testing.assert_array_equal(pixels, kind.expected)
  assert len(predicted) == len(sent) == 1
  assert (served is not None) == kind.served
  if served is not None:
    np.testing.assert_array_equal(served, kind.expected)


@pytest.mark.parametrize('name', ['deep_color.png', 'orientation_6.jpg', 'cmyk.jpg'])
def test_an_export_detects_in_the_pixels_of_the_file(saved_model, name):
  """The real signatures, on kinds of files that TensorFlow alone reads in another way."""
  kind = next(kind for kind in image_kinds.KINDS if kind.name == name)
  signatures = tf.saved_model.load(saved_model).signatures
  from_pixels = signatures['serving_default'](inputs=tf.constant(kind.expected[np.newaxis]))
  from_bytes = signatures['image_bytes'](inputs=tf.constant([kind.content]))
  assert from_bytes['error_code'].numpy() == 0 and from_bytes['num_detections'].numpy() > 0
  for output, expected in from_pixels.items():
    np.testing.assert_allclose(from_bytes[output], expected, atol=1e-3, err_msg=output)


def test_a_damaged_file_of_any_kind_is_read_or_refused():
  rng = np.random.default_rng(3)
  num_refused = 0
  for index in range(20 * len(image_kinds.KINDS)):
    content = bytearray(image_kinds.KINDS[index % len(image_kinds.KINDS)].content)
    end = len(content) if index % 2 else 200
    for position in rng.integers(0, min(end, len(content)), rng.integers(1, 6)):
      content[position] = rng.integers(256)
    try:
      pixels = images.read_image(bytes(content)).pixels()
      assert pixels.dtype == np.uint8 and pixels.ndim == 3
    except images.UnreadableImageError:
      num_refused += 1
  assert 100 < num_refused < 19 * len(image_kinds.KINDS)
