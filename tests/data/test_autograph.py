"""Test that the input pipeline is traced without autograph.

Autograph would rewrite every Python function of the pipeline, which takes time and writes temporary
files, although none of them has Python control flow on tensors.
"""

import pytest
import tensorflow as tf
from official.core import config_definitions
from official.vision.dataloaders import input_reader_factory
from tensorflow.python.autograph.impl import api

from htc_tf.data import parser as parsers
from htc_tf.data.augmentation.flip import Flip
from htc_tf.data.augmentation.scale_jitter import ScaleJitter
from htc_tf.data.bucket_batches import batch_by_bucket
from htc_tf.data.example_decoder import ExampleDecoder
from htc_tf.data.padding import padding_rule
from htc_tf.data.skipped import SkipCounter
from htc_tf.data.tolerant_reading import RECORD_KEY, TolerantReading, as_element
from htc_tf.data.usable_instances import usable_instances


@pytest.fixture(name='converted')
def _converted(monkeypatch):
  """Names of the functions that autograph would convert; they are called without conversion."""
  names = []

  def record(entity, _):
    names.append(entity.__qualname__)
    raise NotImplementedError  # Autograph falls back to the unconverted function.

  monkeypatch.setattr(api, '_convert_actual', record)
  return names


def first_batch(pattern, rule, is_training):
  """The first batch of a pipeline with all steps of the package."""
  counter = SkipCounter()
  decoder = ExampleDecoder()
  parser = parsers.Parser(rule, [32], 64, augmentations=[ScaleJitter(0.8, 1.2), Flip(0.5, 0.5)])

  def parse(element):
    decoded = usable_instances(decoder.decode(element[RECORD_KEY]), 3, 100, counter)
    return parser.parse_fn(is_training)({**decoded, **element})

  reading = TolerantReading(parse, counter, repeats=is_training)
  batch = batch_by_bucket(rule, 2, drop_remainder=True)
  params = config_definitions.DataConfig(
    input_path=pattern, is_training=is_training, global_batch_size=2, shuffle_buffer_size=4
  )
  reader = input_reader_factory.input_reader_generator(
    params,
    dataset_fn=reading.read_shards,
    decoder_fn=as_element,
    parser_fn=None,
    sample_fn=parsers.augmentation_seeds(1),
    transform_and_batch_fn=lambda dataset, context: batch(reading.parse(dataset), context),
  )
  return next(iter(reader.read()))


@pytest.mark.parametrize('is_training', [True, False])
@pytest.mark.parametrize('buckets', [[], [(64, 64)], [(48, 64), (64, 48), (64, 64)]])
def test_no_function_of_the_pipeline_is_converted(coco, converted, buckets, is_training):
  coco.convert(semantic='instances')
  rule = padding_rule(buckets, (64, 64))
  images, _ = first_batch(str(coco.output / 'train-*.tfrecord'), rule, is_training)
  assert len(images) == 2
  assert converted == []


def test_steps_of_the_decoding_can_be_mapped_alone(coco, converted):
  coco.convert(semantic='instances')
  records = tf.data.TFRecordDataset(sorted(map(str, coco.output.glob('*.tfrecord'))))
  decoded = records.map(ExampleDecoder().decode)
  parser = parsers.Parser(padding_rule([(48, 56)], (48, 56)), [32], 48)
  assert len(list(decoded.map(parser.parse_fn(False)))) == 3
  assert converted == []


def test_a_conversion_would_be_noticed(converted):
  assert list(tf.data.Dataset.range(1).map(lambda number: number + 1)) == [1]
  assert len(converted) == 1
