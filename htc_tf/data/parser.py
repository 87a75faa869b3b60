"""Turns decoded records into the elements training and evaluation read."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from htc_tf.data import example_decoder, preprocess
from htc_tf.data import placement as placements
from htc_tf.data.frames import Frame, FrameRule
from htc_tf.errors import ConfigError

IGNORED_LABEL = 255
SEED_KEY = 'augmentation_seed'
_MIN_BOX_SIDE = 1e-3
_MAX_SEED = 2**31 - 1

Tensors = dict[str, tf.Tensor]


class _Instances(NamedTuple):
  boxes: tf.Tensor  # [num, 4] yxyx in padded-image pixels
  classes: tf.Tensor  # [num] int32
  masks: tf.Tensor | None  # [num] PNG strings, then [num, height, width / 8] uint8


class Parser:
  """Resizes, augments, normalises and pads; `parse_fn` fits Model Garden's input reader.

  Each element is padded to the frame that `frames` gives its image.
  """

  def __init__(
    self,
    frames: FrameRule,
    min_sizes: Sequence[int],
    max_size: int,
    *,
    max_num_instances: int = 100,
    include_mask: bool = True,
    include_semantic: bool = True,
    random_horizontal_flip: float = 0.5,
    random_vertical_flip: float = 0.0,
    scale_range: Sequence[float] | None = None,
    dtype: str = 'float32',
    seed: int | None = None,
  ):
    """Args:
      frames: what images are padded to; with one static frame all elements have static shapes.
      min_sizes: targets of the short side; training chooses one for each image, evaluation needs
        exactly one.
      max_size: limit of the long side. An image that would exceed every frame is made smaller.
      max_num_instances: rows of gt_boxes; of more instances the first are kept.
      include_mask: whether training elements have gt_masks.
      include_semantic: whether training elements have gt_semantic.
      random_horizontal_flip: probability, in training.
      random_vertical_flip: probability, in training.
      scale_range: lowest and highest factor on the scale, in training, followed by a random crop to
        the frame where larger; None does neither.
      dtype: of the image.
      seed: of the random choices. It fixes their sequence; which element of a parallel pipeline
        gets which is fixed by `augmentation_seeds` only.

    Raises:
      ConfigError: a value out of range.
    """
    self._frames = frames
    self._min_sizes = tuple(int(size) for size in min_sizes)
    self._max_size = int(max_size)
    self._max_num_instances = max_num_instances
    self._include_mask = include_mask
    self._include_semantic = include_semantic
    self._augmentation = placements.Augmentation(
      random_horizontal_flip,
      random_vertical_flip,
      None if scale_range is None else tuple(scale_range),
    )
    self._dtype = tf.as_dtype(dtype)
    self._seed = seed
    self._check()

  def _check(self) -> None:
    for size in (*self._frames.sizes, self._frames.limit):
      if min(size) < 1 or (self._include_mask and size[1] % 8):
        raise ConfigError(
          'A frame cannot be used',
          expected='positive sides, with masks a width that is a multiple of 8',
          got=str(size),
        )
    if not self._min_sizes or min(self._min_sizes) < 1 or max(self._min_sizes) > self._max_size:
      raise ConfigError(
        'min_sizes and max_size do not fit',
        expected='1 <= every min_size <= max_size',
        got=f'min_sizes={list(self._min_sizes)}, max_size={self._max_size}',
      )
    if self._max_num_instances < 1:
      raise ConfigError(
        'max_num_instances is too small', expected='at least 1', got=str(self._max_num_instances)
      )
    for probability in self._augmentation[:2]:
      if not 0 <= probability <= 1:
        raise ConfigError(
          'a flip probability is out of range', expected='0..1', got=str(probability)
        )
    scale_range = self._augmentation.scale_range
    if scale_range is not None and (
      len(scale_range) != 2 or not 0 < scale_range[0] <= scale_range[1]
    ):
      raise ConfigError(
        'scale_range is no range', expected='0 < lowest <= highest', got=str(scale_range)
      )

  def parse_fn(self, is_training: bool) -> Callable[[Tensors], tuple[tf.Tensor, Tensors]]:
    """The function that parses what `ExampleDecoder.decode` returns.

    Args:
      is_training: training elements have ground truth and random augmentation, others neither.

    Raises:
      ConfigError: evaluation with several short sides.
    """
    if is_training:
      return self._parse_training
    if len(self._min_sizes) > 1:
      raise ConfigError(
        'evaluation has no choice of scale',
        expected='one entry in min_sizes',
        got=str(list(self._min_sizes)),
      )
    return self._parse_evaluation

  def _parse_evaluation(self, decoded: Tensors) -> tuple[tf.Tensor, Tensors]:
    """Image [frame_h, frame_w, 3]; labels image_info [4, 2] and source_id []."""
    original_hw = tf.shape(decoded['image'])[:2]
    rule = (original_hw, self._min_sizes[0], self._max_size)
    bound = self._frames.bound(preprocess.scaled_size(*rule))
    size = preprocess.scaled_size(*rule, bound)
    image = preprocess.normalize(preprocess.resize_image(decoded['image'], size))
    image = preprocess.pad_to(image, self._frames.padded(size, bound))
    labels = {
      'image_info': preprocess.image_info(original_hw, size),
      'source_id': decoded['source_id'],
    }
    return tf.cast(image, self._dtype), labels

  def _parse_training(self, decoded: Tensors) -> tuple[tf.Tensor, Tensors]:
    """Image [frame_h, frame_w, 3] and labels.

    Labels: image_info [4, 2]; source_id []; gt_boxes [max_num_instances, 4] yxyx in padded-image
    pixels, padding rows -1; gt_classes [max_num_instances] int32, padding -1; gt_masks
    [max_num_instances, frame_h, frame_w / 8] uint8, bits; gt_semantic [frame_h, frame_w] uint8,
    255 where ignored. Crowds are left out.
    """
    placement = placements.choose_placement(
      tf.shape(decoded['image'])[:2],
      self._min_sizes,
      self._max_size,
      self._frames,
      self._augmentation,
      self._draw_seed(decoded),
    )
    frame_hw = placement.frame_hw
    indices = placements.source_indices(placement)
    image = preprocess.normalize(placements.place_image(decoded['image'], placement))
    labels = {
      'image_info': preprocess.image_info(
        placement.original_hw, placement.scaled_hw, placement.visible_hw, placement.offset
      ),
      'source_id': decoded['source_id'],
      **self._ground_truth(decoded, placement, indices),
    }
    if self._include_semantic:
      labels['gt_semantic'] = placements.place_labels(
        decoded['semantic'], indices, frame_hw, IGNORED_LABEL
      )
    return tf.cast(preprocess.pad_to(image, frame_hw), self._dtype), labels

  def _draw_seed(self, decoded: Tensors) -> tf.Tensor:
    """[2] seed of this element's random choices."""
    if SEED_KEY in decoded:
      return decoded[SEED_KEY]
    return tf.random.uniform([2], 0, _MAX_SEED, tf.int32, seed=self._seed)

  def _ground_truth(
    self, decoded: Tensors, placement: placements.Placement, indices: tuple[tf.Tensor, tf.Tensor]
  ) -> Tensors:
    boxes = placements.place_boxes(decoded['boxes_normalized'], placement)
    masks = decoded['masks_png'] if self._include_mask else None
    sides = boxes[:, 2:] - boxes[:, :2]
    keep = tf.reduce_all(sides >= _MIN_BOX_SIDE, axis=1) & ~decoded['is_crowd']
    instances = _select(_Instances(boxes, decoded['classes'], masks), keep)
    if self._include_mask:
      instances = self._place_masks(instances, indices, placement.frame_hw)
    first = self._max_num_instances
    truth = {
      'gt_boxes': _pad_rows(instances.boxes[:first], first, -1.0),
      'gt_classes': _pad_rows(instances.classes[:first], first, -1),
    }
    if self._include_mask:
      truth['gt_masks'] = _pad_rows(instances.masks[:first], first, 0)
    return truth

  def _place_masks(
    self, instances: _Instances, indices: tuple[tf.Tensor, tf.Tensor], frame_hw: Frame
  ) -> _Instances:
    """Decodes, places and packs the masks, one at a time.

    A crop can leave the box of an instance in sight but none of its pixels; such are dropped.
    Without a crop every instance stays, as published, even if resizing lost all its pixels.
    """
    crops = self._augmentation.scale_range is not None
    if not crops:
      instances = _Instances(*(values[: self._max_num_instances] for values in instances))
    masks = _place_each(instances.masks, indices, frame_hw)
    instances = instances._replace(masks=masks)
    return _select(instances, tf.reduce_any(masks > 0, axis=[1, 2])) if crops else instances


def augmentation_seeds(seed: int | None) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
  """A `sample_fn` of Model Garden's input reader that gives each decoded element its own seed.

  With a seed, and a fixed order of elements, training elements are the same in every run, whatever
  the parallelism of the pipeline; without one they differ from run to run.
  """

  def attach(dataset: tf.data.Dataset) -> tf.data.Dataset:
    numbers = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
    return tf.data.Dataset.zip((dataset, numbers)).map(
      lambda decoded, number: {**decoded, SEED_KEY: tf.stack([number, seed or 0])}
    )

  return attach


def _place_each(
  masks_png: tf.Tensor, indices: tuple[tf.Tensor, tf.Tensor], frame_hw: Frame
) -> tf.Tensor:
  """[num] PNG strings to [num, frame_h, frame_w / 8] uint8, decoding one at a time."""
  height, width = (None, None) if tf.is_tensor(frame_hw) else frame_hw
  spec = tf.TensorSpec([height, width and width // 8], tf.uint8)

  def place(encoded: tf.Tensor) -> tf.Tensor:
    mask = example_decoder.decode_label_png(encoded)
    return tf.ensure_shape(placements.place_mask(mask, indices, frame_hw), spec.shape)

  # Where the frame varies, `map_fn` would not know the shape of the result for no instance.
  masks = tf.cond(
    tf.size(masks_png) > 0,
    lambda: tf.map_fn(place, masks_png, fn_output_signature=spec),
    lambda: tf.zeros([0, frame_hw[0], frame_hw[1] // 8], tf.uint8),
  )
  return tf.ensure_shape(masks, [None, *spec.shape])


def _select(instances: _Instances, keep: tf.Tensor) -> _Instances:
  return _Instances(
    *(None if values is None else tf.boolean_mask(values, keep) for values in instances)
  )


def _pad_rows(values: tf.Tensor, num_rows: int, padding) -> tf.Tensor:
  """Appends rows until there are `num_rows`; the result's shape is static."""
  paddings = [[0, num_rows - tf.shape(values)[0]]] + [[0, 0]] * (values.shape.rank - 1)
  padded = tf.pad(values, paddings, constant_values=tf.cast(padding, values.dtype))
  return tf.ensure_shape(padded, [num_rows, *values.shape[1:]])
