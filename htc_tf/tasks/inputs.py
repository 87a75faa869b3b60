"""Input pipelines as configured: reading, parsing, skipping and batching."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras
from official.core import input_reader
from official.vision.dataloaders import input_reader_factory

from htc_tf.configs import model as model_config
from htc_tf.configs import task as task_config
from htc_tf.data import published_selection
from htc_tf.data.augmentation.registry import build_augmentations
from htc_tf.data.bucket_batches import BatchFn, batch_by_bucket
from htc_tf.data.combination import combine_neighbors
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.data.example_decoder import ExampleDecoder
from htc_tf.data.padding import PaddingRule, padding_rule
from htc_tf.data.parser import SEED_KEY, Parser, augmentation_seeds
from htc_tf.data.repeat_factors import category_factors, missing_statistics, repeat_records
from htc_tf.data.scales import Scale
from htc_tf.data.skipped import SkipCounter
from htc_tf.data.tolerant_reading import RECORD_KEY, TolerantReading, as_element
from htc_tf.data.usable_instances import usable_instances
from htc_tf.ops.without_autograph import without_autograph
from htc_tf.tasks.permuted_records import permuted_records

Tensors = dict[str, tf.Tensor]
# Semantic maps have 8 bits; 255 is ignored.
_NUM_LABELS = 256


class Elements(NamedTuple):
  """The two steps from serialized records to training or evaluation elements.

  Attributes:
    parse: function from a dictionary with a record in `RECORD_KEY` and the seed of the
      augmentations in `SEED_KEY` to an element, or to a placed image if images are combined.
    join: function from a dataset of the results of `parse` to one of elements; see
      `data.parser.Parser` for their form.
    combines: whether `join` combines each image with the one before it.
  """

  parse: Callable[[Tensors], Any]
  join: Callable[[tf.data.Dataset], tf.data.Dataset]
  combines: bool


def build_padding_rule(params: task_config.Parser, model: model_config.HTC) -> PaddingRule:
  """The rule for the padded sizes of one input pipeline and the model that it feeds."""
  max_hw = (model.input_size[0], model.input_size[1])
  buckets = [(bucket.height, bucket.width) for bucket in params.buckets]
  return padding_rule([max_hw] if model.uses_static_size else buckets, max_hw, model.size_divisor)


def build_parser(
  params: task_config.DataConfig,
  model: model_config.HTC,
  include_mask: bool,
  include_semantic: bool,
  scales: Sequence[Scale] = (),
) -> Parser:
  """The parser of one input pipeline.

  Args:
    params: configuration of the pipeline.
    model: configuration of the model that it feeds.
    include_mask: whether training elements have masks.
    include_semantic: whether training elements have semantic maps.
    scales: scales of evaluation; empty: that of the configuration.
  """
  config = params.parser
  min_sizes, max_size = tuple(config.min_sizes), config.max_size
  padding = build_padding_rule(config, model)
  if scales:
    min_sizes, max_size, padding = (scales[0].min_size,), scales[0].max_size, scales[0].padding
  if params.is_training and config.min_size_range:
    low, high = config.min_size_range
    min_sizes = tuple(range(low, high + 1))
  return Parser(
    padding,
    min_sizes=min_sizes,
    max_size=max_size,
    augmentations=build_augmentations(config.augmentation.as_dict()),
    max_num_instances=config.max_num_instances,
    include_mask=include_mask,
    include_semantic=include_semantic,
    normalization=model.normalization._replace(
      dtype=params.dtype or tf_keras.mixed_precision.global_policy().compute_dtype
    ),
  )


@without_autograph  # Applies to all functions of the datasets.
def build_batches(
  params: task_config.DataConfig,
  model: model_config.HTC,
  counter: SkipCounter,
  context: tf.distribute.InputContext | None = None,
  scales: Sequence[Scale] = (),
) -> tf.data.Dataset:
  """Batches of (images, labels) of `data.parser.Parser`; a batch has images of one size.

  With tf.data service a damaged record ends the run, because the service reads in other processes,
  whose skipped records cannot be counted here.

  Args:
    params: configuration of the pipeline.
    model: configuration of the model that it feeds.
    counter: counter of the data that is skipped because it cannot be used.
    context: context of the distribution strategy, if any.
    scales: scales of evaluation; empty: that of the configuration.

  Raises:
    DataError: no record can be used.
  """
  # All workers shuffle files with the same seed, so that their shares do not overlap; only the
  # augmentations differ.
  worker = context.input_pipeline_id if context else 0
  seed = None if params.seed is None else params.seed + worker
  elements = build_elements(params, model, counter, scales)
  rule = scales[0].padding if scales else build_padding_rule(params.parser, model)
  draw, batch = _build_draws(params, seed), _build_batch(params, rule, elements)
  if params.enable_tf_data_service:
    read, parse = tf.data.TFRecordDataset, _parsing(elements.parse)
  else:
    reading = TolerantReading(elements.parse, counter, repeats=params.is_training)
    read, parse = reading.read_shards, reading.parse
    # Parameter servers trace this function in a graph, where files cannot be read yet; then the
    # check is skipped.
    if tf.executing_eagerly():
      paths = input_reader.match_files(params.input_path)
      reading.check_usable(paths)
      if _selects(params):
        published_selection.check_selected(reading.read_shards(paths), counter)
  permuted = permuted_records(params, counter, context)
  reader = input_reader_factory.input_reader_generator(
    # A buffer of one record keeps the order of the permutations.
    params.replace(shuffle_buffer_size=1) if permuted else params,
    dataset_fn=read,
    decoder_fn=as_element,
    sample_fn=published_selection.select_images(counter) if _selects(params) else None,
    parser_fn=None,
    # The cache of the reader is before this step, so that each epoch has other augmentations.
    transform_and_batch_fn=lambda dataset, context: batch(parse(draw(dataset)), context),
  )
  return reader.read(input_context=context, dataset=permuted)


def _parsing(parse: Callable[[Tensors], Any]) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
  """A function that parses a dataset, and fails at the first record that cannot be parsed."""
  return lambda dataset: dataset.map(parse, num_parallel_calls=tf.data.AUTOTUNE)


def _with_labels_of_model(decoded: Tensors, params: task_config.DataConfig) -> Tensors:
  """A decoded record with the labels of the model in the place of its own ones."""
  changed = dict(decoded)
  for key, labels in (('classes', params.label_map), ('semantic', params.semantic_label_map)):
    if key in decoded and labels:
      # Labels that the records should not have stay as they are.
      table = tf.constant([*labels, *range(len(labels), _NUM_LABELS)], decoded[key].dtype)
      inside = tf.clip_by_value(tf.cast(decoded[key], tf.int32), 0, _NUM_LABELS - 1)
      changed[key] = tf.gather(table, inside)
  return changed


def _build_draws(
  params: task_config.DataConfig, seed: int | None
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
  """A function that repeats rare records, as configured, and adds the seeds of augmentations."""
  add_seeds = augmentation_seeds(seed)
  if not (params.is_training and params.repeat_threshold):
    return add_seeds
  repeat = _build_repetition(params, seed)
  return lambda dataset: add_seeds(repeat(dataset))


def _selects(params: task_config.DataConfig) -> bool:
  """Whether images and annotations are chosen as in the published trainings."""
  return params.is_training and params.published_selection


def _build_repetition(
  params: task_config.DataConfig, seed: int | None
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
  """A function that repeats records of rare classes."""
  info = DatasetInfo.find(params.input_path)
  if info.statistics is None:
    raise missing_statistics(info.folder)
  factors = category_factors(
    info.statistics.images_by_category, info.num_images, params.repeat_threshold
  )
  return repeat_records(factors, params.shuffle_buffer_size, seed)


def _build_batch(params: task_config.DataConfig, rule: PaddingRule, elements: Elements) -> BatchFn:
  """A function from the results of `Elements.parse` to batches."""
  batch = batch_by_bucket(rule, params.global_batch_size, params.drop_remainder)

  def join_and_batch(
    dataset: tf.data.Dataset, context: tf.distribute.InputContext | None = None
  ) -> tf.data.Dataset:
    return batch(elements.join(dataset), context)

  return join_and_batch


def _parser_of(
  params: task_config.DataConfig, model: model_config.HTC, scales: Sequence[Scale]
) -> Parser:
  include_mask = model.include_mask and params.is_training
  include_semantic = model.semantic_head.enabled and params.is_training
  return build_parser(params, model, include_mask, include_semantic, scales)


def build_elements(
  params: task_config.DataConfig,
  model: model_config.HTC,
  counter: SkipCounter,
  scales: Sequence[Scale] = (),
) -> Elements:
  """The steps from serialized records to the elements of one input pipeline.

  Args:
    params: configuration of the pipeline.
    model: configuration of the model that it feeds.
    counter: counter of the instances that are skipped because they cannot be used.
    scales: scales of evaluation; empty: that of the configuration.
  """
  parser = _parser_of(params, model, scales)
  if not (params.is_training and parser.combines):
    parse = _build_parse(params, model, counter, parser.parse_fn(params.is_training, scales[1:]))
    return Elements(parse, lambda dataset: dataset, combines=False)
  return Elements(
    _build_parse(params, model, counter, parser.place),
    lambda dataset: combine_neighbors(dataset, parser),
    combines=True,
  )


def _build_parse(
  params: task_config.DataConfig,
  model: model_config.HTC,
  counter: SkipCounter,
  to_element: Callable[[Tensors], Any],
) -> Callable[[Tensors], Any]:
  """A function from an element with a serialized record to `to_element` of its decoded record."""
  decoder = ExampleDecoder(
    include_mask=model.include_mask and params.is_training,
    include_semantic=model.semantic_head.enabled and params.is_training,
    sample_format=model.sample_format,
  )

  def parse(element: Tensors) -> Any:
    decoded = _with_labels_of_model(decoder.decode(element[RECORD_KEY]), params)
    if _selects(params):
      decoded = published_selection.select_instances(decoded, element[RECORD_KEY], counter)
    if params.is_training:
      decoded = usable_instances(
        decoded, model.num_classes, params.parser.max_num_instances, counter
      )
    # Elements have no seed if they are only checked (`check_usable`, error messages).
    return to_element({SEED_KEY: tf.zeros([2], tf.int64), **decoded, **element})

  return parse
