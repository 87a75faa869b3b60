"""Values of the configuration that follow from the data at hand.

The metadata of the records say how many classes and objects there are and how large images and
objects are, so that nobody has to count them.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from official.core import config_definitions as cfg

from htc_tf.configs import augmentation as augmentation_config
from htc_tf.configs.frames import Resizing, choose_frames
from htc_tf.data.dataset_folder import DatasetFolder
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.data.statistics import QUANTILES, DatasetStatistics
from htc_tf.errors import DataError

_DIVISOR = 32
_MAX_FRAMES = 4
# Images are enlarged at most by this factor; more would add no detail.
_MAX_ENLARGEMENT = 2.0
_MIN_SIDE = 64
# Anchor sizes in strides. The stride of the finest level is 4 pixels.
_ANCHOR_SCALES = (8.0, 4.0, 2.0)
_FINEST_STRIDE = 4
# With an IoU of 0.3 or more, an anchor may be matched to an object (`RPNSampler`).
_MATCHED_IOU = 0.3
_SMALL_SHARE = 0.05
_MIN_INSTANCES, _MIN_DETECTIONS = 20, 100
_PROPOSALS_PER_OBJECT = 3


def statistics_of(folder: DatasetFolder) -> DatasetStatistics:
  """The statistics of the training records.

  Raises:
    DataError: the records are of a version that had none.
  """
  if folder.train.statistics is None:
    raise DataError(
      f'The records in {folder.folder} have no statistics',
      expected='train.json with statistics of images and objects',
      got='metadata of an earlier version of htc_tf',
      likely_cause='records that were converted before; run htc-create-coco-records again, with '
      '--overwrite',
    )
  return folder.train.statistics


def fitted_resizing(resizing: Resizing, statistics: DatasetStatistics) -> Resizing:
  """The rule for resizing, with smaller sizes if the images are so small that they lack detail.

  Args:
    resizing: rule of the size of the model.
    statistics: statistics of the training records.
  """
  longest = max(max(height, width) for height, width, _ in statistics.image_sizes)
  limit = max(_MIN_SIDE, math.ceil(_MAX_ENLARGEMENT * longest / _DIVISOR) * _DIVISOR)
  max_size = min(resizing.max_size, limit)
  return Resizing(min(resizing.min_size, max_size), max_size)


def fitted_values(
  folder: DatasetFolder,
  params: cfg.ExperimentConfig,
  resizing: Resizing,
  anchor_scale: float | None,
) -> dict[str, Any]:
  """Overrides of an experiment that fit it to records.

  Args:
    folder: the records.
    params: the experiment.
    resizing: rule for resizing images.
    anchor_scale: size of the anchors in strides; None fits it to the objects.

  Returns:
    Nested dictionaries for `overrides.apply`.

  Raises:
    DataError: the records have no statistics.
  """
  statistics = statistics_of(folder)
  divisor = params.task.model.size_divisor
  image_sizes = _training_sizes(statistics, params.task.train_data.parser.augmentation)
  frames = choose_frames(image_sizes, resizing, divisor, _MAX_FRAMES)
  # Images of evaluation may have any size up to that of the largest one.
  side = max(
    -(-resizing.max_size // divisor) * divisor, *(side for frame in frames for side in frame)
  )
  if params.task.model.uses_static_size:
    frames = [(side, side)]
  validation_batch = params.task.validation_data.global_batch_size
  values: dict[str, Any] = {
    'model': _model_values(folder, statistics, params, resizing, anchor_scale),
    'train_data': {
      'input_path': folder.train_pattern,
      'parser': {
        **_sizes(resizing),
        **_size_range(params.task.train_data.parser.min_size_range, resizing),
        'buckets': [{'height': height, 'width': width} for height, width in frames],
        'max_num_instances': max(_MIN_INSTANCES, statistics.max_objects),
      },
    },
    'validation_data': {
      'input_path': folder.val_pattern,
      'parser': _sizes(resizing),
      'global_batch_size': min(validation_batch, folder.val.num_images if folder.val else 1),
    },
  }
  values['model']['input_size'] = [side, side, statistics.num_channels]
  values['model'].update(_pixel_values(folder.train))
  return {'task': values}


def _training_sizes(
  statistics: DatasetStatistics, augmentation: augmentation_config.Augmentation
) -> list[tuple[int, int, int]]:
  """Height, width and number of training images, which may be turned by 90 degrees."""
  sizes = list(statistics.image_sizes)
  if augmentation.rotate90.probability > 0:
    sizes += [(width, height, number) for height, width, number in sizes]
  return sizes


def _pixel_values(info: DatasetInfo) -> dict[str, Any]:
  """Depth, mean and deviation of images; RGB images of 8 bits keep those of the experiment."""
  statistics = info.statistics
  if statistics is None or info.sample_format.is_rgb:
    return {}
  # A channel that is the same everywhere has no deviation.
  stddev = [value if value > 0 else 1.0 for value in statistics.channel_stddev]
  mean = list(statistics.channel_mean)
  return {'pixels': {'bits': statistics.bits, 'mean': mean, 'stddev': stddev}}


def _sizes(resizing: Resizing) -> dict[str, Any]:
  return {'min_sizes': [resizing.min_size], 'max_size': resizing.max_size}


def _size_range(min_size_range: Sequence[int], resizing: Resizing) -> dict[str, Any]:
  """The range of short sides, if there is one, with the short side of the rule as its largest."""
  if not min_size_range:
    return {}
  smallest, largest = min_size_range
  return {
    'min_size_range': [max(1, round(smallest * resizing.min_size / largest)), resizing.min_size]
  }


def _model_values(
  folder: DatasetFolder,
  statistics: DatasetStatistics,
  params: cfg.ExperimentConfig,
  resizing: Resizing,
  anchor_scale: float | None,
) -> dict[str, Any]:
  semantic, config = folder.train.semantic, params.task.model
  # An experiment without masks or semantic branch stays without, whatever the records have.
  head: dict[str, Any] = {'enabled': config.semantic_head.enabled and semantic is not None}
  if semantic is not None:
    head['num_classes'] = semantic.num_classes
  values: dict[str, Any] = {
    'num_classes': folder.train.num_classes,
    'include_mask': config.include_mask and folder.train.include_masks,
    'semantic_head': head,
  }
  scale = anchor_scale or fitted_anchor_scale(statistics, resizing)
  if scale != config.anchor.scale:
    values['anchor'] = {'scale': scale}
  largest = max(statistics.max_objects, _most_objects(folder))
  if largest > config.detection_generator.max_detections:
    values['detection_generator'] = {'max_detections': _round_up(largest, 50)}
  proposals = _proposal_values(config, largest)
  if config.roi_generator.type == 'published' and proposals:
    values['roi_generator'] = {'published': proposals}
  return values


def _most_objects(folder: DatasetFolder) -> int:
  """Largest number of objects in an image for validation; 0 if it is unknown."""
  val = folder.val.statistics if folder.val else None
  return val.max_objects if val else 0


def _proposal_values(config: Any, largest: int) -> dict[str, int]:
  """Numbers of proposals, of which there are several for each object of a crowded image."""
  published = config.roi_generator.published
  wanted = _round_up(_PROPOSALS_PER_OBJECT * largest, 100)
  names = ('pre_nms_top_k', 'num_proposals', 'test_pre_nms_top_k', 'test_num_proposals')
  return {name: wanted for name in names if getattr(published, name) < wanted}


def fitted_anchor_scale(statistics: DatasetStatistics, resizing: Resizing) -> float:
  """Size of the anchors in strides, so that small objects are matched to an anchor.

  An object with the side s inside an anchor with the side a has the IoU (s / a)^2 with it.

  Args:
    statistics: statistics of the training records.
    resizing: rule for resizing images.

  Returns:
    The published scale 8, or 4 or 2 if more than a twentieth of the objects are too small for it.
  """
  if not statistics.box_sides:
    return _ANCHOR_SCALES[0]
  small = statistics.box_sides[QUANTILES.index(_SMALL_SHARE)] * _usual_scale(statistics, resizing)
  largest_anchor = small / math.sqrt(_MATCHED_IOU)
  fitting = (scale for scale in _ANCHOR_SCALES if scale * _FINEST_STRIDE <= largest_anchor)
  return next(fitting, _ANCHOR_SCALES[-1])


def _usual_scale(statistics: DatasetStatistics, resizing: Resizing) -> float:
  """Median over the images of the factor by which they are resized."""
  sizes = statistics.image_sizes
  scales = sorted((resizing.scale(height, width), number) for height, width, number in sizes)
  numbers = itertools.accumulate(number for _, number in scales)
  half = sum(number for _, _, number in sizes) / 2
  return next(scale for (scale, _), number in zip(scales, numbers) if number >= half)


def _round_up(number: int, multiple: int) -> int:
  return -(-number // multiple) * multiple
