"""Checks that the records of an input pipeline exist and match the model."""

import dataclasses
from collections.abc import Sequence

from absl import logging

from htc_tf import file_systems
from htc_tf.configs import model as model_config
from htc_tf.configs import task as task_config
from htc_tf.configs.value_types import check_keys, check_positive
from htc_tf.data.augmentation.checks import check_channels
from htc_tf.data.augmentation.registry import build_augmentations
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.data.repeat_factors import missing_statistics
from htc_tf.errors import ConfigError


def validate_data(
  config: task_config.DataConfig,
  model: model_config.HTC,
  name: str,
  classes: DatasetInfo | None = None,
) -> None:
  """Check that the records of an input pipeline exist and hold the data that the model needs.

  Args:
    config: configuration of the pipeline.
    model: configuration of the model that the pipeline feeds.
    name: name of the pipeline's configuration, for messages.
    classes: classes of the run that a training continues; None for a new run. The records may have
      some of them.

  Raises:
    ConfigError: a pattern matches no file, a value is out of range, or training records have
      another number of classes, or lack masks or semantic maps.
    DataError: the metadata of the records is missing.
    InputError: TensorFlow cannot use the file system of a path.
  """
  paths = config.input_path
  patterns = list(paths) if isinstance(paths, (list, tuple)) else str(paths).split(',')
  for pattern in map(str, patterns):
    file_systems.check_usable(pattern.strip(), f'{name}.input_path')
    if not pattern.strip() or not _exists(pattern.strip()):
      raise ConfigError(
        f'{name}.input_path matches no file',
        expected='TFRecords of htc-create-coco-records, e.g. coco/train-*.tfrecord',
        got=repr(pattern),
        likely_cause='records that were not written yet, or a path relative to another folder',
      )
  check_positive(config.global_batch_size, f'{name}.global_batch_size')
  check_sizes(config, model, name)
  _warn_of_shrinking(config.parser, model, name)
  _check_largest(config.parser.buckets, model, f'{name}.parser.buckets')
  info = DatasetInfo.find(','.join(patterns))
  _check_images(info, model, name)
  if not config.is_training:
    return  # The evaluation matches categories by id and name.
  if config.repeat_threshold and info.statistics is None:
    raise missing_statistics(name)
  _check_augmentations(config.parser, model, name)
  if classes is not None and info.label_map(classes) is not None:
    info = _with_classes(info, classes)
  if info.num_classes != model.num_classes:
    raise ConfigError(
      f'{name} and task.model.num_classes disagree',
      expected=f'{info.num_classes} ({len(info.categories)} categories and the background)',
      got=str(model.num_classes),
      likely_cause='num_classes of another data set; set '
      f'task.model.num_classes={info.num_classes}',
    )
  _check_training_records(info, model, name)


def check_sizes(config: task_config.DataConfig, model: model_config.HTC, name: str) -> None:
  """Raise ConfigError unless the sizes of images fit each other and the strides of the model.

  Args:
    config: configuration of an input pipeline, whose records need not exist.
    model: configuration of the model that the pipeline feeds.
    name: name of the pipeline's configuration, for messages.
  """
  _check_parser(config, name)
  _check_buckets(config.parser.buckets, model, f'{name}.parser.buckets')


def _with_classes(info: DatasetInfo, classes: DatasetInfo) -> DatasetInfo:
  """The records as they are once their labels are those of the run."""
  semantic = info.semantic
  if semantic is not None and semantic.source == 'instances':
    semantic = dataclasses.replace(semantic, num_classes=classes.num_classes)
  return dataclasses.replace(info, categories=classes.categories, semantic=semantic)


def _check_images(info: DatasetInfo, model: model_config.HTC, name: str) -> None:
  """Raise ConfigError unless the images have the channels and the depth that the model reads."""
  found, expected = info.sample_format, model.sample_format
  if found == expected:
    return
  height, width = model.input_size[:2]
  raise ConfigError(
    f'The images of {name} are not those that the model reads',
    expected=f'{expected}: task.model.input_size[2] and task.model.pixels.bits',
    got=str(found),
    likely_cause='records of another data set, or a configuration without its channels; set '
    f'task.model.input_size=[{height},{width},{found.num_channels}], task.model.pixels.bits='
    f'{found.bits}, and task.model.pixels.mean and stddev as channel_mean and channel_stddev of '
    'the metadata; or convert the images to RGB with --channels=rgb',
  )


def _exists(pattern: str) -> bool:
  return bool(file_systems.glob(pattern))


def _check_training_records(info: DatasetInfo, model: model_config.HTC, name: str) -> None:
  if model.include_mask and not info.include_masks:
    raise ConfigError(
      f'{name} has no masks',
      expected='records with instance masks',
      got='records with boxes only',
      likely_cause='a conversion with --no_masks; convert again or set '
      'task.model.include_mask=false',
    )
  if not model.semantic_head.enabled:
    return
  if info.semantic is None:
    raise ConfigError(
      f'{name} has no semantic maps',
      expected='records converted with --semantic=stuff_maps or --semantic=instances',
      got='records without semantic maps',
      likely_cause='a data set without stuff maps; convert it with '
      '--semantic=instances or set task.model.semantic_head.enabled=false',
    )
  if info.semantic.num_classes != model.semantic_head.num_classes:
    raise ConfigError(
      f'{name} and task.model.semantic_head.num_classes disagree',
      expected=str(info.semantic.num_classes),
      got=str(model.semantic_head.num_classes),
      likely_cause=f'semantic maps that were made from {info.semantic.source}',
    )


def _check_parser(config: task_config.DataConfig, name: str) -> None:
  parser = config.parser
  if not parser.min_sizes or max(parser.min_sizes) > parser.max_size:
    raise ConfigError(
      f'{name}.parser.min_sizes is wrong',
      expected=f'one size or more, none above max_size = {parser.max_size}',
      got=str(parser.min_sizes),
      likely_cause='exchanged min_sizes and max_size, or one of them without the other',
    )
  if not config.is_training and len(parser.min_sizes) > 1:
    raise ConfigError(
      f'{name}.parser.min_sizes has several sizes',
      expected='one size: an evaluation does not choose at random',
      got=str(parser.min_sizes),
    )
  sizes = parser.min_size_range
  if sizes and not (len(sizes) == 2 and 0 < sizes[0] <= sizes[1] <= parser.max_size):
    raise ConfigError(
      f'{name}.parser.min_size_range is wrong',
      expected=f'[low, high] with 0 < low <= high <= max_size = {parser.max_size}',
      got=str(sizes),
    )
  # The constructors of the augmentations check their arguments.
  build_augmentations(parser.augmentation.as_dict())


def _warn_of_shrinking(parser: task_config.Parser, model: model_config.HTC, name: str) -> None:
  """Warn if images are resized to a size that the network input cannot hold."""
  longest = max(model.input_size[:2])
  if parser.max_size > longest:
    logging.warning(
      '%s.parser.max_size is %d, but the long side of task.model.input_size is %d: images are '
      'shrunk to that. A larger input_size keeps them larger, and a smaller max_size says what is '
      'done; --data with --image_size fits both.',
      name,
      parser.max_size,
      longest,
    )


def _check_augmentations(parser: task_config.Parser, model: model_config.HTC, name: str) -> None:
  """Raise ConfigError if an augmentation needs masks or RGB images that the model does not have."""
  field = f'{name}.parser.augmentation'
  if parser.augmentation.copy_paste.probability > 0 and not model.include_mask:
    raise ConfigError(
      f'{field}.copy_paste needs masks',
      expected='task.model.include_mask=true',
      got='a model without masks',
      likely_cause=f'the configuration of a model with masks; set {field}.copy_paste.probability=0',
    )
  built = build_augmentations(parser.augmentation.as_dict())
  check_channels(built, model.sample_format.num_channels, field)


def _check_buckets(
  buckets: Sequence[task_config.Bucket], model: model_config.HTC, name: str
) -> None:
  check_keys(buckets, task_config.Bucket, name)
  divisor = model.size_divisor
  for index, bucket in enumerate(buckets):
    sides = (bucket.height, bucket.width)
    if any(side <= 0 or side % divisor for side in sides):
      raise ConfigError(
        f'{name}[{index}] is wrong',
        expected=f'height and width that are multiples of {divisor}',
        got=f'{bucket.height} x {bucket.width}',
      )


def _check_largest(
  buckets: Sequence[task_config.Bucket], model: model_config.HTC, name: str
) -> None:
  """Raise ConfigError if buckets do not fit into the network input; see `check_sizes`."""
  divisor, (height, width) = model.size_divisor, model.input_size[:2]
  for index, bucket in enumerate(buckets):
    if bucket.height > height or bucket.width > width:
      raise ConfigError(
        f'{name}[{index}] is larger than task.model.input_size',
        expected=f'at most {height} x {width}',
        got=f'{bucket.height} x {bucket.width}',
        likely_cause='a smaller input_size with the buckets of the experiment: set '
        f'{name}=[] to pad to multiples of {divisor}, or give buckets of that size',
      )
    if model.uses_static_size and (bucket.height, bucket.width) != (height, width):
      raise ConfigError(
        f'{name}[{index}] does not match the model',
        expected=f'only the size task.model.input_size, {height} x {width}',
        got=f'{bucket.height} x {bucket.width}',
        likely_cause="Model Garden's proposals or RoI aligner, which need a static shape",
      )
