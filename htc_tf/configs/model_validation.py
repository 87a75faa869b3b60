"""Checks of the configuration of a model: ranges of values, and whether the parts fit together."""

from htc_tf.configs import model as model_config
from htc_tf.configs.backbone_validation import check_backbone
from htc_tf.configs.value_types import check_keys, check_values
from htc_tf.data.sample_format import MAX_CHANNELS
from htc_tf.errors import ConfigError

_MAX_STAGES = 5


def validate_model(config: model_config.HTC) -> None:
  """Raise ConfigError unless the values are in range and the parts of the model fit each other."""
  _check_stage_keys(config)
  check_values(config, 'task.model')
  for check in (
    _check_classes,
    _check_anchors,
    _check_thresholds,
    _check_class_thresholds,
    check_backbone,
    _check_stages,
    _check_shared_mask,
    _check_residual,
    _check_norm_groups,
    _check_levels,
    _check_input_size,
    _check_pixels,
    _check_channels,
    _check_crop_sizes,
  ):
    check(config)


def _check_classes(config: model_config.HTC) -> None:
  if config.num_classes < 2:
    raise ConfigError(
      'task.model.num_classes is too small',
      expected='at least 2',
      got=str(config.num_classes),
      likely_cause='a number without the background, which is a class too',
    )


def _check_anchors(config: model_config.HTC) -> None:
  if not config.anchor.aspect_ratios:
    raise ConfigError(
      'task.model.anchor.aspect_ratios is out of range',
      expected='one positive number or more',
      got='[]',
    )


def _check_thresholds(config: model_config.HTC) -> None:
  sampler = config.rpn_sampler
  for name in ('negative_threshold', 'min_positive_threshold'):
    if getattr(sampler, name) > sampler.positive_threshold:
      raise ConfigError(
        f'task.model.rpn_sampler.{name} is above positive_threshold',
        expected=f'at most positive_threshold = {sampler.positive_threshold}',
        got=repr(getattr(sampler, name)),
        likely_cause='exchanged thresholds',
      )


def _check_class_thresholds(config: model_config.HTC) -> None:
  limits, num_classes = config.detection_generator.class_score_thresholds, config.num_classes
  if limits and len(limits) != num_classes - 1:
    raise ConfigError(
      'task.model.detection_generator.class_score_thresholds is wrong',
      expected=f'{num_classes - 1} limits, one for each class but the background, or none',
      got=f'{len(limits)} limits',
      likely_cause='limits of other classes, or one for the background',
    )


def _check_stages(config: model_config.HTC) -> None:
  stages = config.cascade.stages
  if not 1 <= len(stages) <= _MAX_STAGES:
    raise ConfigError(
      'task.model.cascade.stages has the wrong length',
      expected=f'1 to {_MAX_STAGES} stages',
      got=str(len(stages)),
    )
  for index, stage in enumerate(stages):
    _check_stage(stage, f'task.model.cascade.stages[{index}]')
  thresholds = [stage.iou_threshold for stage in stages]
  if thresholds != sorted(thresholds):
    raise ConfigError(
      'The stages are inconsistent',
      expected='iou_thresholds that rise from stage to stage',
      got=str(thresholds),
      likely_cause='stages in the wrong order',
    )


def _check_shared_mask(config: model_config.HTC) -> None:
  cascade = config.cascade
  if cascade.shared_mask and (
    not config.include_mask or cascade.interleaved or cascade.mask_information_flow
  ):
    raise ConfigError(
      'task.model.cascade.shared_mask cannot be used',
      expected='include_mask=true, interleaved=false and mask_information_flow=false',
      got=f'include_mask={config.include_mask}, interleaved={cascade.interleaved}, '
      f'mask_information_flow={cascade.mask_information_flow}'.lower(),
      likely_cause='options of HTC and SCNet together: one mask branch has no previous one',
    )
  relays = cascade.feature_relay
  if relays and not (
    cascade.shared_mask and config.box_head.num_fcs and not config.box_head.num_convs
  ):
    raise ConfigError(
      'task.model.cascade.feature_relay cannot be used',
      expected='shared_mask=true, and box heads of fully connected layers alone',
      got=f'shared_mask={str(cascade.shared_mask).lower()}, num_fcs={config.box_head.num_fcs}, '
      f'num_convs={config.box_head.num_convs}',
      likely_cause='only a part of the options of SCNet',
    )
  if (relays or config.global_context.enabled) and not hasattr(config.decoder.get(), 'num_filters'):
    raise ConfigError(
      'The decoder does not say its number of channels',
      expected='a decoder with num_filters for feature_relay and global_context',
      got=f'task.model.decoder.type {config.decoder.type}',
    )


def _check_residual(config: model_config.HTC) -> None:
  counts = [('global_context', config.global_context.num_convs, config.global_context.enabled)]
  counts += [
    (name, head.num_convs, head.residual)
    for name, head in (('mask_head', config.mask_head), ('semantic_head', config.semantic_head))
  ]
  for name, num_convs, has_shortcuts in counts:
    if has_shortcuts and num_convs % 2:
      raise ConfigError(
        f'task.model.{name}.num_convs is odd',
        expected='an even number, because every two convolutions have a shortcut',
        got=str(num_convs),
      )


def _check_norm_groups(config: model_config.HTC) -> None:
  box, mask, decoder = config.box_head, config.mask_head, config.decoder.get()
  name = f'task.model.decoder.{config.decoder.type}'
  parts = [
    ('task.model.box_head', 'conv_filters', box.norm_groups, box.conv_filters),
    ('task.model.mask_head', 'num_filters', mask.norm_groups, mask.num_filters),
    (name, 'num_filters', getattr(decoder, 'norm_groups', 0), getattr(decoder, 'num_filters', 0)),
  ]
  for part, key, groups, filters in parts:
    if groups and filters % groups:
      raise ConfigError(
        f'{part}.norm_groups does not divide the channels',
        expected=f'a divisor of {part}.{key} = {filters}, or 0 for no group norm',
        got=str(groups),
        likely_cause='the published 32 groups together with fewer channels',
      )
  if box.norm_groups and not box.num_convs:
    raise ConfigError(
      'task.model.box_head.norm_groups has no effect',
      expected='task.model.box_head.num_convs above 0: fully connected layers have no norm',
      got=f'norm_groups={box.norm_groups}, num_convs=0',
    )
  if mask.norm_groups and mask.residual:
    raise ConfigError(
      'task.model.mask_head.norm_groups cannot be used',
      expected='residual=false: the convolutions of residual mask heads have no norm',
      got=f'norm_groups={mask.norm_groups}, residual=true',
    )


def _check_stage_keys(config: model_config.HTC) -> None:
  check_keys(config.cascade.stages, model_config.Stage, 'task.model.cascade.stages')


def _check_stage(stage: model_config.Stage, name: str) -> None:
  weights = stage.box_coder_weights
  if len(weights) != 4:
    raise ConfigError(
      f'{name}.box_coder_weights is wrong',
      expected='four positive factors on dy, dx, dh, dw',
      got=str(weights),
    )


def _check_levels(config: model_config.HTC) -> None:
  if not config.min_level <= config.max_level:
    raise ConfigError(
      'The decoder levels are out of order',
      expected='min_level <= max_level',
      got=f'{config.min_level}, {config.max_level}',
    )
  if config.roi_aligner.type == 'published':
    aligner = config.roi_aligner.published
    if not config.min_level <= aligner.min_level <= aligner.max_level <= config.max_level:
      raise ConfigError(
        'The RoI aligner pools from levels that the decoder does not have',
        expected=f'levels within {config.min_level}..{config.max_level}',
        got=f'{aligner.min_level}..{aligner.max_level}',
      )
  semantic = config.semantic_head
  if semantic.enabled and not config.min_level <= semantic.level <= config.max_level:
    raise ConfigError(
      'The semantic branch fuses at a level that the decoder does not have',
      expected=f'within {config.min_level}..{config.max_level}',
      got=str(semantic.level),
    )


def _check_input_size(config: model_config.HTC) -> None:
  divisor = config.size_divisor
  size = config.input_size
  if len(size) != 3 or any(side <= 0 or side % divisor for side in size[:2]):
    raise ConfigError(
      'task.model.input_size is wrong',
      expected=f'[height, width, channels] with sides that are multiples of {divisor}',
      got=str(list(size)),
    )
  if not 1 <= size[2] <= MAX_CHANNELS:
    raise ConfigError(
      'task.model.input_size is wrong',
      expected=f'1 to {MAX_CHANNELS} channels, the last number',
      got=str(list(size)),
      likely_cause='numbers in another order than height, width, channels',
    )


def _check_pixels(config: model_config.HTC) -> None:
  pixels, sample_format = config.pixels, config.sample_format
  lengths = (len(pixels.mean), len(pixels.stddev))
  if lengths == (0, 0) and sample_format.is_rgb:
    return
  if lengths != (sample_format.num_channels,) * 2:
    raise ConfigError(
      'task.model.pixels has no mean and standard deviation for every channel',
      expected=f'{sample_format.num_channels} numbers in mean and in stddev, in units of samples '
      f'of {sample_format.bits} bits; only RGB images of 8 bits have published ones',
      got=f'mean={list(pixels.mean)}, stddev={list(pixels.stddev)}',
      likely_cause='another number of channels or bits; the metadata of the records '
      '(<prefix>.json) has channel_mean and channel_stddev',
    )


def _check_channels(config: model_config.HTC) -> None:
  decoder = config.decoder.get()
  channels = getattr(decoder, 'num_filters', None)
  if channels is None:  # Type 'identity': the number of channels is that of the backbone.
    return
  parts = []
  if config.include_mask and (config.cascade.mask_information_flow or config.mask_head.residual):
    parts.append(('task.model.mask_head.num_filters', config.mask_head.num_filters))
  if config.semantic_head.enabled:
    parts.append(('task.model.semantic_head.num_filters', config.semantic_head.num_filters))
  for name, filters in parts:
    if filters != channels:
      raise ConfigError(
        f'{name} does not fit the decoder',
        expected=str(channels),
        got=str(filters),
        likely_cause='a changed number of channels: the feature is added to that of the decoder',
      )


def _check_crop_sizes(config: model_config.HTC) -> None:
  semantic = config.semantic_head
  heads = [('box_head', config.box_head.crop_size, semantic.feeds_box)]
  if config.include_mask:
    heads.append(('mask_head', config.mask_head.crop_size, semantic.feeds_mask))
  for name, size, fed in heads:
    if semantic.enabled and fed and semantic.crop_size % size:
      raise ConfigError(
        'task.model.semantic_head.crop_size does not fit',
        expected=f'a multiple of {name}.crop_size = {size}',
        got=str(semantic.crop_size),
      )
