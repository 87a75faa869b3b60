"""Input pipelines from configuration: what is read, parsed, left out and batched."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras
from official.core import input_reader
from official.vision.dataloaders import input_reader_factory

from htc_tf.configs import model as model_config
from htc_tf.configs import task as task_config
from htc_tf.data.example_decoder import ExampleDecoder
from htc_tf.data.frame_batches import batch_by_frame
from htc_tf.data.frames import FrameRule, frame_rule
from htc_tf.data.left_out import LeftOut
from htc_tf.data.parser import Parser, augmentation_seeds
from htc_tf.data.tolerant_reading import RECORD_KEY, TolerantReading, as_element
from htc_tf.data.usable_instances import usable_instances

Tensors = dict[str, tf.Tensor]


def build_frame_rule(params: task_config.Parser, model: model_config.HTC) -> FrameRule:
  """What one input pipeline pads to, for the model it feeds."""
  limit = tuple(model.input_size[:2])
  sizes = [(frame.height, frame.width) for frame in params.frames]
  return frame_rule(
    [limit] if model.uses_static_size else sizes,
    limit,
    model.size_divisor,
  )


def build_parser(
  params: task_config.DataConfig,
  model: model_config.HTC,
  include_mask: bool,
  include_semantic: bool,
) -> Parser:
  """The parser of one input pipeline.

  Args:
    params: the pipeline.
    model: configuration of the model it feeds.
    include_mask: whether training elements have masks.
    include_semantic: whether they have semantic maps.
  """
  config = params.parser
  min_sizes = tuple(config.min_sizes)
  if params.is_training and config.min_size_range:
    low, high = config.min_size_range
    min_sizes = tuple(range(low, high + 1))
  scale_range = tuple(config.scale_range)
  return Parser(
    build_frame_rule(config, model),
    min_sizes=min_sizes,
    max_size=config.max_size,
    max_num_instances=config.max_num_instances,
    include_mask=include_mask,
    include_semantic=include_semantic,
    random_horizontal_flip=config.random_horizontal_flip,
    random_vertical_flip=config.random_vertical_flip,
    scale_range=None if scale_range == (1.0, 1.0) else scale_range,
    dtype=params.dtype or tf_keras.mixed_precision.global_policy().compute_dtype,
    seed=params.seed,
  )


def build_batches(
  params: task_config.DataConfig,
  model: model_config.HTC,
  left_out: LeftOut,
  context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
  """Batches of (images, labels) as `data.parser.Parser` makes them, each of one frame.

  With tf.data service, whose workers are other processes, nothing can be counted here: there, a
  damaged record ends the run.

  Args:
    params: the pipeline.
    model: configuration of the model it feeds.
    left_out: counts what cannot be used and is left out.
    context: of distribution, if any.

  Raises:
    DataError: no record can be used.
  """
  parse = _build_parse(params, model, left_out)
  batch = batch_by_frame(
    build_frame_rule(params.parser, model), params.global_batch_size, params.drop_remainder
  )
  if params.enable_tf_data_service:
    steps = {
      'dataset_fn': tf.data.TFRecordDataset,
      'parser_fn': parse,
      'transform_and_batch_fn': batch,
    }
  else:
    reading = TolerantReading(parse, left_out, repeats=params.is_training)
    steps = {
      'dataset_fn': reading.read_shards,
      'parser_fn': None,
      'transform_and_batch_fn': lambda dataset, context: batch(reading.parse(dataset), context),
    }
    # In a graph, as of a parameter server, nothing can be read yet.
    if tf.executing_eagerly():
      reading.check_usable(input_reader.match_files(params.input_path))
  # Workers order their files alike, of which each takes its share, but augment independently.
  worker = context.input_pipeline_id if context else 0
  seed = None if params.seed is None else params.seed + worker
  reader = input_reader_factory.input_reader_generator(
    params, decoder_fn=as_element, sample_fn=augmentation_seeds(seed), **steps
  )
  return reader.read(input_context=context)


def _build_parse(
  params: task_config.DataConfig, model: model_config.HTC, left_out: LeftOut
) -> Callable[[Tensors], Any]:
  """The function from an element with a serialized record to what is trained or evaluated on."""
  include_mask = model.include_mask and params.is_training
  include_semantic = model.semantic_head.enabled and params.is_training
  decoder = ExampleDecoder(include_mask=include_mask, include_semantic=include_semantic)
  parser = build_parser(params, model, include_mask, include_semantic).parse_fn(params.is_training)

  def parse(element: Tensors):
    decoded = decoder.decode(element[RECORD_KEY])
    if params.is_training:
      decoded = usable_instances(
        decoded, model.num_classes, params.parser.max_num_instances, left_out
      )
    return parser({**decoded, **element})

  return parse
