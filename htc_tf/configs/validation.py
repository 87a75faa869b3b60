"""Checks a configuration as a whole before anything is built."""

import dataclasses
import glob

from official.core import config_definitions as cfg
from official.modeling import hyperparams
import tensorflow as tf

from htc_tf.configs import model as model_config
from htc_tf.configs import task as task_config
from htc_tf.configs.value_types import check_value_types
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import ConfigError

_MAX_STAGES = 5
# What `runtime.mixed_precision_dtype` may be.
PRECISIONS = ('float32', 'bfloat16', 'float16')


def validate_experiment(params: cfg.ExperimentConfig, mode: str) -> None:
  """Checks an experiment for a mode of the trainer.

  Args:
    params: a whole experiment whose task is an `HTCTask`.
    mode: 'train', 'eval', 'train_and_eval' or 'continuous_eval' (an 'and' joins them).

  Raises:
    ConfigError: for the first thing wrong, with what was expected and the likely cause.
  """
  if not isinstance(params.task, task_config.HTCTask):
    raise ConfigError('This is no HTC experiment', expected='a task of type HTCTask',
                      got=type(params.task).__name__, likely_cause='an experiment of Model Garden')
  validate_model(params.task.model)
  validate_runtime(params.runtime)
  check_value_types(params.task.losses, 'task.losses')
  data = ([('train_data', params.task.train_data)] if 'train' in mode else [])
  data += ([('validation_data', params.task.validation_data)] if 'eval' in mode else [])
  for name, config in data:
    validate_data(config, params.task.model, f'task.{name}')
  if 'train' in mode and params.task.jit_compile:
    _check_static_batches(params.task)


def _check_static_batches(task: task_config.HTCTask) -> None:
  """XLA compiles for sizes known beforehand."""
  data = task.train_data
  if not data.drop_remainder or not (data.parser.frames or uses_static_frame(task.model)):
    raise ConfigError('The training step cannot be compiled (runtime.enable_xla)',
                      expected='task.train_data.drop_remainder and static frames in '
                      'task.train_data.parser.frames, e.g. [{height: 800, width: 1344}]',
                      got=f'drop_remainder={data.drop_remainder}, '
                      f'{len(data.parser.frames)} frames',
                      likely_cause='an experiment that pads each batch to its own size')


def validate_model(config: model_config.HTC) -> None:
  """Checks that the parts of a model fit each other; raises ConfigError if not."""
  _check_stage_keys(config)
  check_value_types(config, 'task.model')
  for check in (_check_classes, _check_backbone, _check_stages, _check_levels, _check_input_size,
                _check_channels, _check_crop_sizes, _check_choices):
    check(config)


def validate_runtime(config: cfg.RuntimeConfig) -> None:
  """Checks the precision of a run; raises ConfigError if it does not exist."""
  if config.mixed_precision_dtype not in (None, *PRECISIONS):
    raise ConfigError('runtime.mixed_precision_dtype is unknown',
                      expected=f'one of {list(PRECISIONS)}', got=repr(config.mixed_precision_dtype),
                      likely_cause='a misspelt value')
  scale = config.loss_scale
  is_number = isinstance(scale, (int, float)) and scale > 0
  if scale is not None and scale != 'dynamic' and not is_number:
    raise ConfigError('runtime.loss_scale is wrong', expected="'dynamic' or a positive number",
                      got=repr(scale))
  if scale is not None and config.mixed_precision_dtype != 'float16':
    raise ConfigError('runtime.loss_scale has no effect',
                      expected='mixed_precision_dtype=float16, whose gradients need a scale',
                      got=repr(config.mixed_precision_dtype),
                      likely_cause='a run changed from float16 to another type')


def validate_data(config: task_config.DataConfig, model: model_config.HTC, name: str) -> None:
  """Checks that records exist and hold what the model needs.

  Args:
    config: one input pipeline.
    model: the model it feeds.
    name: where the configuration stands, for the message.

  Raises:
    ConfigError: no such files, or records of another number of classes or without masks or maps.
    DataError: records without their metadata.
  """
  patterns = config.input_path
  patterns = list(patterns) if isinstance(patterns, (list, tuple)) else str(patterns).split(',')
  for pattern in map(str, patterns):
    if not pattern.strip() or not _exists(pattern.strip()):
      raise ConfigError(f'{name}.input_path names no file', expected='TFRecords of '
                        'htc-create-coco-records, e.g. coco/train-*.tfrecord', got=repr(pattern),
                        likely_cause='records not made yet, or a path relative to another folder')
  check_value_types(config, name)
  _positive(config.global_batch_size, f'{name}.global_batch_size')
  _check_parser(config, name)
  _check_frames(config.parser.frames, model, f'{name}.parser.frames')
  info = DatasetInfo.find(','.join(patterns))
  if info.num_classes != model.num_classes:
    raise ConfigError(
        f'{name} and task.model.num_classes disagree',
        expected=f'{info.num_classes} ({len(info.categories)} categories and the background)',
        got=str(model.num_classes), likely_cause='num_classes of another data set; set '
        f'task.model.num_classes={info.num_classes}')
  if config.is_training:
    _check_training_records(info, model, name)


def _exists(pattern: str) -> bool:
  return bool(glob.glob(pattern)) if '://' not in pattern else bool(tf.io.gfile.glob(pattern))


def _check_training_records(info: DatasetInfo, model: model_config.HTC, name: str) -> None:
  if model.include_mask and not info.include_masks:
    raise ConfigError(f'{name} has no masks', expected='records with instance masks',
                      got='records with boxes only',
                      likely_cause='set task.model.include_mask=false')
  if not model.semantic_head.enabled:
    return
  if info.semantic is None:
    raise ConfigError(
        f'{name} has no semantic maps', expected='records made with --semantic=stuff_maps or '
        '--semantic=instances', got='records without', likely_cause='no stuff maps; convert with '
        '--semantic=instances or set task.model.semantic_head.enabled=false')
  if info.semantic.num_classes != model.semantic_head.num_classes:
    raise ConfigError(
        f'{name} and task.model.semantic_head.num_classes disagree',
        expected=str(info.semantic.num_classes), got=str(model.semantic_head.num_classes),
        likely_cause=f'semantic maps made from {info.semantic.source}')


def _positive(value, name: str) -> None:
  if not value > 0:
    raise ConfigError(f'{name} is out of range', expected='a positive number', got=repr(value))


def _check_parser(config: task_config.DataConfig, name: str) -> None:
  parser = config.parser
  if not parser.min_sizes or min(parser.min_sizes) <= 0 or parser.max_size <= 0:
    raise ConfigError(f'{name}.parser has no image size',
                      expected='positive min_sizes and max_size',
                      got=f'min_sizes={parser.min_sizes}, max_size={parser.max_size}')
  sizes = parser.min_size_range
  if sizes and not (len(sizes) == 2 and 0 < sizes[0] <= sizes[1] <= parser.max_size):
    raise ConfigError(f'{name}.parser.min_size_range is wrong', expected='[low, high] with '
                      f'0 < low <= high <= max_size = {parser.max_size}', got=str(sizes))
  scales = parser.scale_range
  if not (len(scales) == 2 and 0 < scales[0] <= scales[1]):
    raise ConfigError(f'{name}.parser.scale_range is out of order',
                      expected='[low, high] with 0 < low <= high', got=str(parser.scale_range))


def _check_frames(frames, model: model_config.HTC, name: str) -> None:
  _check_keys(frames, task_config.Frame, name)
  divisor, (height, width) = frame_divisor(model), model.input_size[:2]
  for index, frame in enumerate(frames):
    sides = (frame.height, frame.width)
    if any(side <= 0 or side % divisor for side in sides):
      raise ConfigError(f'{name}[{index}] is wrong',
                        expected=f'height and width that are multiples of {divisor}',
                        got=f'{frame.height} x {frame.width}')
    if frame.height > height or frame.width > width:
      raise ConfigError(
          f'{name}[{index}] is larger than task.model.input_size',
          expected=f'at most {height} x {width}', got=f'{frame.height} x {frame.width}',
          likely_cause='input_size was lowered and the frames of the experiment were not: set '
          f'{name}=[] for multiples of {divisor}, or frames of that size')
    if uses_static_frame(model) and sides != (height, width):
      raise ConfigError(f'{name}[{index}] does not fit the model',
                        expected=f'task.model.input_size alone, {height} x {width}',
                        got=f'{frame.height} x {frame.width}',
                        likely_cause='proposals or RoI aligner of Model Garden, which read static '
                        'shapes')


def _check_classes(config: model_config.HTC) -> None:
  if config.num_classes < 2:
    raise ConfigError('task.model.num_classes is too small', expected='at least 2',
                      got=str(config.num_classes), likely_cause='the background counts as a class')


def _check_backbone(config: model_config.HTC) -> None:
  if config.backbone.type != 'published_resnet':
    return
  resnet, name = config.backbone.published_resnet, 'task.model.backbone.published_resnet'
  _positive(resnet.groups, f'{name}.groups')
  _positive(resnet.base_width, f'{name}.base_width')
  if resnet.base_width * resnet.width_multiplier < 1:
    raise ConfigError(f'{name}.base_width is too small', expected='base_width * width_multiplier '
                      'of 1 or more', got=f'{resnet.base_width} * {resnet.width_multiplier}',
                      likely_cause='a group of the first stage would have no channel')
  stages = resnet.deformable_stages
  if not set(stages) <= {1, 2, 3, 4}:
    raise ConfigError(f'{name}.deformable_stages is wrong', expected='stages from 1 to 4',
                      got=str(stages), likely_cause='levels C3-C5 given: they are stages 2-4')
  plain = (resnet.groups, resnet.base_width, list(stages)) == (1, 64, [])
  if not plain and resnet.model_id < 50:
    raise ConfigError(f'{name} has no bottleneck blocks', expected='model_id 50 or 101 with '
                      'groups, base_width or deformable_stages', got=f'model_id {resnet.model_id}',
                      likely_cause='ResNeXt and deformable stages are made of them')
  if resnet.recompute and not resnet.norm_eval:
    raise ConfigError(f'{name}.recompute does not fit', expected='norm_eval=true',
                      got='norm_eval=false', likely_cause='a block that runs twice a step would '
                      'move the running statistics twice')


def _check_stages(config: model_config.HTC) -> None:
  stages = config.cascade.stages
  if not 1 <= len(stages) <= _MAX_STAGES:
    raise ConfigError('task.model.cascade.stages has the wrong length',
                      expected=f'1 to {_MAX_STAGES} stages', got=str(len(stages)))
  for index, stage in enumerate(stages):
    _check_stage(stage, f'task.model.cascade.stages[{index}]')
  thresholds = [stage.iou_threshold for stage in stages]
  if thresholds != sorted(thresholds):
    raise ConfigError('The stages are inconsistent', expected='iou_threshold rising by stage',
                      got=str(thresholds), likely_cause='stages in the wrong order')


def _check_stage_keys(config: model_config.HTC) -> None:
  _check_keys(config.cascade.stages, model_config.Stage, 'task.model.cascade.stages')


def _check_keys(entries, entry_type, name: str) -> None:
  """Model Garden accepts anything in place of a list, and any key inside one."""
  if not isinstance(entries, (list, tuple)):
    raise ConfigError(f'{name} is of the wrong type', expected='a list', got=repr(entries))
  known = {field.name for field in dataclasses.fields(entry_type)}
  for index, entry in enumerate(entries):
    if not isinstance(entry, hyperparams.Config):
      raise ConfigError(f'{name}[{index}] is of the wrong type',
                        expected=f'keys of {sorted(known)}', got=repr(entry))
    unknown = sorted(set(entry.as_dict()) - known)
    if unknown:
      raise ConfigError(f'{name}[{index}] has unknown keys', expected=f'keys of {sorted(known)}',
                        got=str(unknown), likely_cause='a misspelt key')


def _check_stage(stage: model_config.Stage, name: str) -> None:
  if not 0.0 < stage.iou_threshold < 1.0:
    raise ConfigError(f'{name}.iou_threshold is out of range', expected='between 0 and 1',
                      got=repr(stage.iou_threshold))
  weights = stage.box_coder_weights
  if len(weights) != 4 or not all(weight > 0 for weight in weights):
    raise ConfigError(f'{name}.box_coder_weights is wrong', expected='four positive factors on '
                      'dy, dx, dh, dw', got=str(weights))
  if stage.loss_weight < 0:
    raise ConfigError(f'{name}.loss_weight is negative', expected='0 or more',
                      got=repr(stage.loss_weight))


def _check_levels(config: model_config.HTC) -> None:
  if not config.min_level <= config.max_level:
    raise ConfigError('The decoder levels are out of order', expected='min_level <= max_level',
                      got=f'{config.min_level}, {config.max_level}')
  if config.roi_aligner.type == 'published':
    aligner = config.roi_aligner.published
    if not config.min_level <= aligner.min_level <= aligner.max_level <= config.max_level:
      raise ConfigError('The RoI aligner pools levels the decoder does not give',
                        expected=f'levels within {config.min_level}..{config.max_level}',
                        got=f'{aligner.min_level}..{aligner.max_level}')
  semantic = config.semantic_head
  if semantic.enabled and not config.min_level <= semantic.level <= config.max_level:
    raise ConfigError('The semantic branch fuses at a level the decoder does not give',
                      expected=f'within {config.min_level}..{config.max_level}',
                      got=str(semantic.level))


def _check_input_size(config: model_config.HTC) -> None:
  divisor = frame_divisor(config)
  size = config.input_size
  if len(size) != 3 or size[2] != 3 or any(side <= 0 or side % divisor for side in size[:2]):
    raise ConfigError('task.model.input_size is wrong',
                      expected=f'[height, width, 3] with sides that are multiples of {divisor}',
                      got=str(list(size)))


def uses_static_frame(config: model_config.HTC) -> bool:
  """Whether every input must fill the whole frame: parts of Model Garden read static shapes."""
  return 'model_garden' in (config.roi_generator.type, config.roi_aligner.type)


def frame_divisor(config: model_config.HTC) -> int:
  """Number of pixels the sides of a padded image must be a multiple of."""
  published = config.decoder.type == 'published_fpn'
  return 32 if published else max(32, 2 ** config.max_level)


def _check_channels(config: model_config.HTC) -> None:
  decoder = config.decoder.get()
  channels = getattr(decoder, 'num_filters', None)
  if channels is None:  # 'identity': the backbone decides.
    return
  parts = []
  if config.include_mask and config.cascade.mask_information_flow:
    parts.append(('task.model.mask_head.num_filters', config.mask_head.num_filters))
  if config.semantic_head.enabled:
    parts.append(('task.model.semantic_head.num_filters', config.semantic_head.num_filters))
  for name, filters in parts:
    if filters != channels:
      raise ConfigError(f'{name} does not fit the decoder', expected=str(channels),
                        got=str(filters), likely_cause='its feature is added to the decoder\'s')


def _check_crop_sizes(config: model_config.HTC) -> None:
  semantic = config.semantic_head
  heads = [('box_head', config.box_head.crop_size, semantic.feeds_box)]
  if config.include_mask:
    heads.append(('mask_head', config.mask_head.crop_size, semantic.feeds_mask))
  for name, size, fed in heads:
    if semantic.enabled and fed and semantic.crop_size % size:
      raise ConfigError('task.model.semantic_head.crop_size does not fit',
                        expected=f'a multiple of {name}.crop_size = {size}',
                        got=str(semantic.crop_size))


def _check_choices(config: model_config.HTC) -> None:
  choices = [
      ('detection_generator.mask_ensemble', config.detection_generator.mask_ensemble,
       ('mean', 'last')),
      ('cascade.sampling_rule', config.cascade.sampling_rule, ('random', 'even')),
      ('rpn_head.type', config.rpn_head.type, ('published', 'model_garden')),
      ('roi_generator.type', config.roi_generator.type, ('published', 'model_garden')),
      ('roi_aligner.type', config.roi_aligner.type, ('published', 'model_garden')),
      ('roi_aligner.published.level_rule', config.roi_aligner.published.level_rule,
       ('mmdet', 'paddle')),
  ]
  for name, value, allowed in choices:
    if value not in allowed:
      raise ConfigError(f'task.model.{name} is unknown', expected=f'one of {list(allowed)}',
                        got=repr(value), likely_cause='a misspelt value')
