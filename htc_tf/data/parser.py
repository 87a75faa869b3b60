"""Parsing of decoded records into elements for training and evaluation."""

import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

from htc_tf.data import images, preprocess, scales
from htc_tf.data import placement as placements
from htc_tf.data.augmentation.base import Augmentation
from htc_tf.data.augmentation.checks import check_channels
from htc_tf.data.instances import InstanceRules, pad_rows, place_instances
from htc_tf.data.padding import PaddingRule
from htc_tf.data.pasting import restore_padding
from htc_tf.data.scales import Scale
from htc_tf.errors import ConfigError
from htc_tf.ops.without_autograph import without_autograph

SEED_KEY = 'augmentation_seed'
# Numbers that make the seeds of combinations different from those of other choices.
_COMBINE_SEEDS = 1 << 17

Tensors = dict[str, tf.Tensor]


class Parser:
  """Resizing, augmentation, normalization and padding of images.

  Args:
    padding: rule for the padded size; with exactly one bucket all elements have static shapes.
    min_sizes: lengths of the short side; training chooses one per image, evaluation needs exactly
      one.
    max_size: limit of the long side; an image that is larger than every bucket is shrunk further.
    augmentations: augmentations of training images, in the order of application.
    max_num_instances: number of rows of gt_boxes; instances beyond it are dropped.
    include_mask: whether training elements have gt_masks.
    include_semantic: whether training elements have gt_semantic.
    normalization: mean and standard deviation of each channel, and type of the image.

  Raises:
    ConfigError: a value is out of range.
  """

  def __init__(
    self,
    padding: PaddingRule,
    min_sizes: Sequence[int],
    max_size: int,
    *,
    augmentations: Sequence[Augmentation] = (),
    max_num_instances: int = 100,
    include_mask: bool = True,
    include_semantic: bool = True,
    normalization: preprocess.Normalization = preprocess.PUBLISHED,
  ):
    self._padding = padding
    self._min_sizes = tuple(int(size) for size in min_sizes)
    self._max_size = int(max_size)
    self._augmentations = tuple(augmentations)
    self._rules = _rules(self._augmentations, max_num_instances, include_mask)
    self._include_semantic = include_semantic
    self._normalization = normalization
    self._check()

  def _check(self) -> None:
    for size in (*self._padding.buckets, self._padding.max_hw):
      if min(size) < 1 or (self._rules.include_mask and size[1] % 8):
        raise ConfigError(
          'A padded size cannot be used',
          expected='positive sides, and a width that is a multiple of 8 if there are masks',
          got=str(size),
        )
    if not self._min_sizes or min(self._min_sizes) < 1 or max(self._min_sizes) > self._max_size:
      raise ConfigError(
        'min_sizes and max_size do not match',
        expected='1 <= every min_size <= max_size',
        got=f'min_sizes={list(self._min_sizes)}, max_size={self._max_size}',
      )
    if self._rules.limit < 1:
      raise ConfigError(
        'max_num_instances is too small', expected='at least 1', got=str(self._rules.limit)
      )
    check_channels(self._augmentations, len(self._normalization.mean))

  def parse_fn(
    self, is_training: bool, other_scales: Sequence[Scale] = ()
  ) -> Callable[[Tensors], tuple[tf.Tensor, Tensors]]:
    """A `parser_fn` of Model Garden's input reader, for the results of `ExampleDecoder.decode`.

    Args:
      is_training: whether elements have ground truth and are augmented. Training needs the entry
        that `augmentation_seeds` adds to each element.
      other_scales: further scales of evaluation, whose images are labels; see `scales.image_key`.

    Raises:
      ConfigError: `is_training` is False, and there are several short sides.
    """
    if is_training:
      return self._parse_training
    if len(self._min_sizes) > 1:
      raise ConfigError(
        'Evaluation needs a single short side',
        expected='one entry in min_sizes',
        got=str(list(self._min_sizes)),
      )
    return functools.partial(self._parse_evaluation, other_scales=tuple(other_scales))

  @without_autograph
  def _parse_evaluation(
    self, decoded: Tensors, other_scales: Sequence[Scale]
  ) -> tuple[tf.Tensor, Tensors]:
    """Image [padded_h, padded_w, channels], and labels image_info [4, 2] and source_id [].

    The labels also hold the image and its image_info at each of the other scales.
    """
    scale = Scale(self._min_sizes[0], self._max_size, self._padding)
    image, info = scale.apply(decoded['image'], self._normalization)
    labels = {scales.info_key(0): info, 'source_id': decoded['source_id']}
    for number, other in enumerate(other_scales, 1):
      image_key, info_key = scales.image_key(number), scales.info_key(number)
      labels[image_key], labels[info_key] = other.apply(decoded['image'], self._normalization)
    return image, labels

  @without_autograph
  def _parse_training(self, decoded: Tensors) -> tuple[tf.Tensor, Tensors]:
    """Image [padded_h, padded_w, channels] and labels.

    Labels: image_info [4, 2]; source_id []; gt_boxes [max_num_instances, 4] yxyx in padded-image
    pixels, padding rows -1; gt_classes [max_num_instances] int32, padding -1; gt_masks
    [max_num_instances, padded_h, padded_w / 8] uint8, one bit per pixel; gt_semantic [padded_h,
    padded_w] uint8, 255 where ignored. Crowd regions are dropped.
    """
    return self.finish(self.place(decoded))

  @without_autograph
  def place(self, decoded: Tensors) -> Tensors:
    """An image and its ground truth at their places, before pixels are changed.

    Args:
      decoded: result of `ExampleDecoder.decode`, with the entry that `augmentation_seeds` adds.

    Returns:
      image: [visible_h, visible_w, channels] float32 of integers.
      image_info: [4, 2] float32; see `preprocess.image_info`.
      own_hw: [2] int32 size of the visible part before objects are pasted beyond its border.
      padded_hw: [2] int32 size of the network input.
      source_id: [] int64.
      boxes: [num, 4] yxyx in padded-image pixels.
      classes: [num] int32.
      masks: [num, padded_h, padded_w / 8] uint8, one bit per pixel; only with masks.
      semantic: [padded_h, padded_w] uint8, 255 where ignored; only with semantic maps.
      padding_value: [channels] float32, the value that becomes 0, that of padding.
      augmentation_seed: [2] seed of further random choices.
    """
    seed = decoded[SEED_KEY]
    placement = placements.choose_placement(
      tf.shape(decoded['image'])[:2],
      self._min_sizes,
      self._max_size,
      self._padding,
      self._augmentations,
      seed,
    )
    indices = placements.source_indices(placement)
    instances = place_instances(decoded, indices, placement, self._rules)
    placed = {
      'image': placements.place_image(decoded['image'], placement),
      'image_info': preprocess.image_info(
        placement.original_hw, placement.scaled_hw, placement.visible_hw, placement.offset
      ),
      'own_hw': placement.visible_hw,
      'padded_hw': tf.convert_to_tensor(placement.padded_hw, tf.int32),
      'source_id': decoded['source_id'],
      'boxes': instances.boxes,
      'classes': instances.classes,
      'padding_value': tf.constant(self._normalization.mean, tf.float32),
      SEED_KEY: seed,
    }
    if instances.masks is not None:
      placed['masks'] = instances.masks
    if self._include_semantic:
      placed['semantic'] = placements.place_labels(
        placement.view.take(decoded['semantic']),
        indices,
        placement.padded_hw,
        images.IGNORED_LABEL,
      )
    return placed

  @property
  def combines(self) -> bool:
    """Whether an augmentation combines images, so that `parse_fn` alone does not apply it."""
    return any(augmentation.combines for augmentation in self._augmentations)

  @without_autograph
  def combine(self, placed: Tensors, other: Tensors) -> Tensors:
    """A placed image with parts of another one, in the form of `place`."""
    for number, augmentation in enumerate(self._augmentations):
      seed = tf.random.experimental.stateless_fold_in(placed[SEED_KEY], _COMBINE_SEEDS + number)
      placed = augmentation.combine(placed, other, self._rules.limit, seed)
    return placed

  @without_autograph
  def finish(self, placed: Tensors) -> tuple[tf.Tensor, Tensors]:
    """Image and labels for training, as described in `_parse_training`, of a placed image."""
    image = self._change_pixels(placed['image'], placed[SEED_KEY])
    if self.combines:
      image = restore_padding(image, placed)
    image = preprocess.normalize(image, self._normalization)
    buckets, limit = self._padding.buckets, self._rules.limit
    padded_hw = buckets[0] if len(buckets) == 1 else placed['padded_hw']
    labels = {
      'image_info': placed['image_info'],
      'source_id': placed['source_id'],
      'gt_boxes': pad_rows(placed['boxes'], limit, -1.0),
      'gt_classes': pad_rows(placed['classes'], limit, -1),
    }
    if 'masks' in placed:
      labels['gt_masks'] = pad_rows(placed['masks'], limit, 0)
    if 'semantic' in placed:
      labels['gt_semantic'] = placed['semantic']
    return tf.cast(preprocess.pad_to(image, padded_hw), self._normalization.dtype), labels

  def _change_pixels(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The image after the pixel changes of all augmentations, which take values of 0..255.

    Args:
      image: [height, width, channels] float32 samples.
      seed: [2] int, the seed of the image.
    """
    scale = self._normalization.largest / 255
    image = image if scale == 1 else image / scale
    for number, augmentation in enumerate(self._augmentations):
      image_seed = tf.random.experimental.stateless_fold_in(seed, number)
      image = augmentation.change_pixels(image, image_seed)
    return image if scale == 1 else image * scale


def _rules(
  augmentations: Sequence[Augmentation], max_num_instances: int, include_mask: bool
) -> InstanceRules:
  return InstanceRules(
    limit=max_num_instances,
    include_mask=include_mask,
    may_hide=any(augmentation.may_crop or augmentation.may_cut for augmentation in augmentations),
    min_visible=max((augmentation.min_visible for augmentation in augmentations), default=0.0),
    refits_boxes=any(augmentation.refits_boxes for augmentation in augmentations),
  )


def augmentation_seeds(seed: int | None) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
  """A `sample_fn` of Model Garden's input reader that adds a seed to each decoded element.

  Args:
    seed: seed of the added seeds. If it is given and the order of the elements is fixed, training
      elements are the same in every run, whatever the parallelism of the pipeline. If it is None,
      they differ.
  """

  @without_autograph
  def add_seed(decoded: Tensors, number: tf.Tensor) -> Tensors:
    return {**decoded, SEED_KEY: tf.stack([number, seed or 0])}

  def add_seeds(dataset: tf.data.Dataset) -> tf.data.Dataset:
    numbers = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
    return tf.data.Dataset.zip((dataset, numbers)).map(add_seed)

  return add_seeds
