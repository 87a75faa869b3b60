"""Parsing of decoded records into elements for training and evaluation."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from htc_tf.data import example_decoder, images, preprocess
from htc_tf.data import placement as placements
from htc_tf.data.augmentation.base import Augmentation
from htc_tf.data.padding import DynamicSize, PaddingRule
from htc_tf.errors import ConfigError
from htc_tf.ops.without_autograph import without_autograph

SEED_KEY = 'augmentation_seed'
_MIN_BOX_SIDE = 1e-3

Tensors = dict[str, tf.Tensor]


class _Instances(NamedTuple):
  boxes: tf.Tensor  # [num, 4] yxyx in padded-image pixels
  classes: tf.Tensor  # [num] int32
  masks: tf.Tensor | None  # [num] PNG; once placed, [num, height, width / 8] uint8


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
    self._max_num_instances = max_num_instances
    self._include_mask = include_mask
    self._include_semantic = include_semantic
    self._normalization = normalization
    self._check()

  def _check(self) -> None:
    for size in (*self._padding.buckets, self._padding.max_hw):
      if min(size) < 1 or (self._include_mask and size[1] % 8):
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
    if self._max_num_instances < 1:
      raise ConfigError(
        'max_num_instances is too small', expected='at least 1', got=str(self._max_num_instances)
      )

  def parse_fn(self, is_training: bool) -> Callable[[Tensors], tuple[tf.Tensor, Tensors]]:
    """A `parser_fn` of Model Garden's input reader, for the results of `ExampleDecoder.decode`.

    Args:
      is_training: whether elements have ground truth and are augmented. Training needs the entry
        that `augmentation_seeds` adds to each element.

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
    return self._parse_evaluation

  @without_autograph
  def _parse_evaluation(self, decoded: Tensors) -> tuple[tf.Tensor, Tensors]:
    """Image [padded_h, padded_w, channels], and labels image_info [4, 2] and source_id []."""
    original_hw = tf.shape(decoded['image'])[:2]
    rule = (original_hw, self._min_sizes[0], self._max_size)
    bound = self._padding.bound(preprocess.scaled_size(*rule))
    size = preprocess.scaled_size(*rule, bound)
    image = preprocess.resize_image(decoded['image'], size)
    image = preprocess.normalize(image, self._normalization)
    image = preprocess.pad_to(image, self._padding.padded_hw(size, bound))
    labels = {
      'image_info': preprocess.image_info(original_hw, size),
      'source_id': decoded['source_id'],
    }
    return tf.cast(image, self._normalization.dtype), labels

  @without_autograph
  def _parse_training(self, decoded: Tensors) -> tuple[tf.Tensor, Tensors]:
    """Image [padded_h, padded_w, channels] and labels.

    Labels: image_info [4, 2]; source_id []; gt_boxes [max_num_instances, 4] yxyx in padded-image
    pixels, padding rows -1; gt_classes [max_num_instances] int32, padding -1; gt_masks
    [max_num_instances, padded_h, padded_w / 8] uint8, one bit per pixel; gt_semantic [padded_h,
    padded_w] uint8, 255 where ignored. Crowd regions are dropped.
    """
    placement = placements.choose_placement(
      tf.shape(decoded['image'])[:2],
      self._min_sizes,
      self._max_size,
      self._padding,
      self._augmentations,
      decoded[SEED_KEY],
    )
    indices = placements.source_indices(placement)
    image = placements.place_image(decoded['image'], placement)
    image = self._change_pixels(image, decoded[SEED_KEY], decoded['image'].dtype.max / 255)
    image = preprocess.normalize(image, self._normalization)
    labels = {
      'image_info': preprocess.image_info(
        placement.original_hw, placement.scaled_hw, placement.visible_hw, placement.offset
      ),
      'source_id': decoded['source_id'],
      **self._ground_truth(decoded, placement, indices),
    }
    if self._include_semantic:
      labels['gt_semantic'] = placements.place_labels(
        decoded['semantic'], indices, placement.padded_hw, images.IGNORED_LABEL
      )
    return tf.cast(preprocess.pad_to(image, placement.padded_hw), self._normalization.dtype), labels

  def _change_pixels(self, image: tf.Tensor, seed: tf.Tensor, scale: float) -> tf.Tensor:
    """The image after the pixel changes of all augmentations, which take values of 0..255.

    Args:
      image: [height, width, channels] float32 of 0..255 * scale.
      seed: [2] int, the seed of the image.
      scale: 1, or 257 for samples of 16 bits.
    """
    image = image if scale == 1 else image / scale
    for number, augmentation in enumerate(self._augmentations):
      image_seed = tf.random.experimental.stateless_fold_in(seed, number)
      image = augmentation.change_pixels(image, image_seed)
    return image if scale == 1 else image * scale

  def _ground_truth(
    self, decoded: Tensors, placement: placements.Placement, indices: tuple[tf.Tensor, tf.Tensor]
  ) -> Tensors:
    boxes = placements.place_boxes(decoded['boxes_normalized'], placement)
    masks = decoded['masks_png'] if self._include_mask else None
    sides = boxes[:, 2:] - boxes[:, :2]
    keep = tf.reduce_all(sides >= _MIN_BOX_SIDE, axis=1) & ~decoded['is_crowd']
    instances = _select(_Instances(boxes, decoded['classes'], masks), keep)
    if self._include_mask:
      instances = self._place_masks(instances, indices, placement.padded_hw)
    limit = self._max_num_instances
    instances = _first(instances, limit)
    labels = {
      'gt_boxes': _pad_rows(instances.boxes, limit, -1.0),
      'gt_classes': _pad_rows(instances.classes, limit, -1),
    }
    if instances.masks is not None:
      labels['gt_masks'] = _pad_rows(instances.masks, limit, 0)
    return labels

  def _place_masks(
    self, instances: _Instances, indices: tuple[tf.Tensor, tf.Tensor], padded_hw: DynamicSize
  ) -> _Instances:
    """The instances with decoded, placed and packed masks.

    After a crop, instances without a visible pixel are dropped, even if part of their box is
    visible. Without a crop all instances are kept, as in the paper's code, even those that lost all
    pixels by resizing.
    """
    crops = any(augmentation.may_crop for augmentation in self._augmentations)
    if not crops:
      instances = _first(instances, self._max_num_instances)
    masks = _place_each(instances.masks, indices, padded_hw)
    instances = instances._replace(masks=masks)
    return _select(instances, tf.reduce_any(masks > 0, axis=[1, 2])) if crops else instances


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


def _place_each(
  masks_png: tf.Tensor, indices: tuple[tf.Tensor, tf.Tensor], padded_hw: DynamicSize
) -> tf.Tensor:
  """Placed masks [num, padded_h, padded_w / 8] uint8 of [num] PNG strings, decoded one by one."""
  height, width = (None, None) if tf.is_tensor(padded_hw) else padded_hw
  spec = tf.TensorSpec([height, width and width // 8], tf.uint8)

  @without_autograph
  def place(encoded: tf.Tensor) -> tf.Tensor:
    mask = example_decoder.decode_label_png(encoded)
    return tf.ensure_shape(placements.place_mask(mask, indices, padded_hw), spec.shape)

  # With several buckets, `map_fn` cannot infer the shape of an empty result.
  masks = tf.cond(
    tf.size(masks_png) > 0,
    lambda: tf.map_fn(place, masks_png, fn_output_signature=spec),
    lambda: tf.zeros([0, padded_hw[0], padded_hw[1] // 8], tf.uint8),
  )
  return tf.ensure_shape(masks, [None, *spec.shape])


def _first(instances: _Instances, number: int) -> _Instances:
  return _Instances(*(None if values is None else values[:number] for values in instances))


def _select(instances: _Instances, keep: tf.Tensor) -> _Instances:
  return _Instances(
    *(None if values is None else tf.boolean_mask(values, keep) for values in instances)
  )


def _pad_rows(values: tf.Tensor, num_rows: int, padding: float) -> tf.Tensor:
  """The values with padding rows until there are `num_rows`; the shape of the result is static."""
  paddings = [[0, num_rows - tf.shape(values)[0]]] + [[0, 0]] * (values.shape.rank - 1)
  padded = tf.pad(values, paddings, constant_values=tf.cast(padding, values.dtype))
  return tf.ensure_shape(padded, [num_rows, *values.shape[1:]])
