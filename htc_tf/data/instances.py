"""Ground-truth instances of one image, placed in the network input."""

from typing import NamedTuple

import tensorflow as tf

from htc_tf.data import example_decoder
from htc_tf.data import placement as placements
from htc_tf.data.padding import DynamicSize
from htc_tf.data.placement import Placement
from htc_tf.ops import boxes as box_ops
from htc_tf.ops import masks as mask_ops
from htc_tf.ops.without_autograph import without_autograph

Tensors = dict[str, tf.Tensor]
Indices = tuple[tf.Tensor, tf.Tensor]
_MIN_BOX_SIDE = 1e-3
# After a crop, what remains of an object can be narrower than a pixel.
_MIN_CROPPED_SIDE = 1.0


class Instances(NamedTuple):
  """Instances of one image.

  Attributes:
    boxes: [num, 4] float32 yxyx in padded-image pixels.
    classes: [num] int32.
    masks: [num, padded_h, padded_w / 8] uint8, one bit per pixel; None without masks.
  """

  boxes: tf.Tensor
  classes: tf.Tensor
  masks: tf.Tensor | None

  def first(self, number: int) -> 'Instances':
    """The first instances, `number` or fewer."""
    return Instances(*(None if values is None else values[:number] for values in self))

  def select(self, keep: tf.Tensor) -> 'Instances':
    """The instances where `keep`, [num] bool, is true."""
    return Instances(
      *(None if values is None else tf.boolean_mask(values, keep) for values in self)
    )


class InstanceRules(NamedTuple):
  """Rules for the instances that are kept.

  Attributes:
    limit: largest number of instances.
    include_mask: whether there are masks.
    may_hide: whether the placement can hide parts of an instance.
    min_visible: share of an instance that must be visible, 0..1.
    refits_boxes: whether the box of a cut instance is that of its visible pixels.
  """

  limit: int
  include_mask: bool
  may_hide: bool = False
  min_visible: float = 0.0
  refits_boxes: bool = False


def place_instances(
  decoded: Tensors, indices: Indices, placement: Placement, rules: InstanceRules
) -> Instances:
  """The instances of a decoded record that are kept.

  Crowd regions and boxes without area are dropped. If the placement can hide instances, those
  without a visible pixel are dropped, even if part of their box is visible, and those of which less
  than `rules.min_visible` is visible: a share of the pixels of the mask or, without masks, of the
  area of the box. Otherwise all instances are kept, as in the paper's code, even those that lost
  all pixels by resizing.

  Args:
    decoded: result of `ExampleDecoder.decode`.
    indices: result of `placement.source_indices`.
    placement: placement of the image.
    rules: rules for the instances.
  """
  view_boxes = placement.view.take_boxes(
    decoded['boxes_normalized'], tf.shape(decoded['image'])[:2]
  )
  boxes = placements.place_boxes(view_boxes, placement)
  min_side = _MIN_CROPPED_SIDE if rules.may_hide else _MIN_BOX_SIDE
  sides = boxes[:, 2:] - boxes[:, :2]
  keep = tf.reduce_all(sides >= min_side, axis=1) & ~decoded['is_crowd']
  if not rules.include_mask:
    if rules.min_visible:
      keep &= _box_shares(boxes, view_boxes, placement) >= rules.min_visible
    return Instances(boxes, decoded['classes'], None).select(keep).first(rules.limit)
  # Only the masks of the kept instances are decoded.
  masks_png = tf.boolean_mask(decoded['masks_png'], keep)
  instances = Instances(boxes, decoded['classes'], None).select(keep)
  if not rules.may_hide:
    masks = _place_masks(masks_png[: rules.limit], indices, placement)
    return instances.first(rules.limit)._replace(masks=masks)
  return _visible(instances, masks_png, indices, placement, rules).first(rules.limit)


def _box_shares(boxes: tf.Tensor, view_boxes: tf.Tensor, placement: Placement) -> tf.Tensor:
  """Share of the area of each box that is visible, [num]."""
  scaled = tf.tile(tf.cast(placement.scaled_hw, tf.float32), [2])
  return tf.math.divide_no_nan(box_ops.area(boxes), box_ops.area(view_boxes * scaled))


def _visible(
  instances: Instances,
  masks_png: tf.Tensor,
  indices: Indices,
  placement: Placement,
  rules: InstanceRules,
) -> Instances:
  """The instances with masks of which enough is visible."""
  if not (rules.min_visible or rules.refits_boxes):
    masks = _place_masks(masks_png, indices, placement)
    return instances._replace(masks=masks).select(tf.reduce_any(masks > 0, axis=[1, 2]))
  masks, shares = _place_masks_and_shares(masks_png, indices, placement)
  keep = tf.reduce_any(masks > 0, axis=[1, 2]) & (shares >= rules.min_visible)
  instances = instances._replace(masks=masks).select(keep)
  if not rules.refits_boxes:
    return instances
  cut = tf.boolean_mask(shares, keep) < 1
  return instances._replace(boxes=mask_ops.refit_boxes(instances.boxes, instances.masks, cut))


def _mask_spec(padded_hw: DynamicSize) -> tf.TensorSpec:
  height, width = (None, None) if tf.is_tensor(padded_hw) else padded_hw
  return tf.TensorSpec([height, width and width // 8], tf.uint8)


def _place_masks(masks_png: tf.Tensor, indices: Indices, placement: Placement) -> tf.Tensor:
  """Placed masks [num, padded_h, padded_w / 8] uint8 of [num] PNG strings, decoded one by one."""
  padded_hw = placement.padded_hw
  spec = _mask_spec(padded_hw)

  @without_autograph
  def place(encoded: tf.Tensor) -> tf.Tensor:
    mask = placement.view.take(example_decoder.decode_label_png(encoded))
    return tf.ensure_shape(placements.place_mask(mask, indices, padded_hw), spec.shape)

  # With several buckets, `map_fn` cannot infer the shape of an empty result.
  masks = tf.cond(
    tf.size(masks_png) > 0,
    lambda: tf.map_fn(place, masks_png, fn_output_signature=spec),
    lambda: tf.zeros([0, padded_hw[0], padded_hw[1] // 8], tf.uint8),
  )
  return tf.ensure_shape(masks, [None, *spec.shape])


def _place_masks_and_shares(
  masks_png: tf.Tensor, indices: Indices, placement: Placement
) -> tuple[tf.Tensor, tf.Tensor]:
  """The result of `_place_masks`, and the visible share of each mask, [num] float32."""
  padded_hw = placement.padded_hw
  spec = _mask_spec(padded_hw)
  top, left, bottom, right = tf.unstack(placements.visible_region(placement))

  @without_autograph
  def place(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    stored = example_decoder.decode_label_png(encoded)
    mask = placement.view.take(stored)
    visible = mask[top:bottom, left:right]
    share = tf.math.count_nonzero(visible) / tf.maximum(tf.math.count_nonzero(stored), 1)
    placed = placements.place_mask(mask, indices, padded_hw)
    return tf.ensure_shape(placed, spec.shape), tf.cast(share, tf.float32)

  masks, shares = tf.cond(
    tf.size(masks_png) > 0,
    lambda: tf.map_fn(place, masks_png, fn_output_signature=(spec, tf.TensorSpec([], tf.float32))),
    lambda: (tf.zeros([0, padded_hw[0], padded_hw[1] // 8], tf.uint8), tf.zeros([0])),
  )
  return tf.ensure_shape(masks, [None, *spec.shape]), shares


def pad_rows(values: tf.Tensor, num_rows: int, padding: float) -> tf.Tensor:
  """The values with padding rows until there are `num_rows`; the shape of the result is static.

  Args:
    values: [num, ...], with at most `num_rows` rows.
    num_rows: number of rows of the result.
    padding: value of the padding rows.
  """
  paddings = [[0, num_rows - tf.shape(values)[0]]] + [[0, 0]] * (values.shape.rank - 1)
  padded = tf.pad(values, paddings, constant_values=tf.cast(padding, values.dtype))
  return tf.ensure_shape(padded, [num_rows, *values.shape[1:]])
