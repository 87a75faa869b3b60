"""Pasting of objects of one placed image into another, with the rule for hidden objects.

Placed images are results of `data.parser.Parser.place`. Objects keep their position in the network
input, and stay inside the padded size of the image that they are pasted into. They may lie beyond
the border of this image, in its padding; then its visible part grows.
"""

import tensorflow as tf

from htc_tf.data import images
from htc_tf.ops import masks as mask_ops
from htc_tf.ops.without_autograph import without_autograph

Tensors = dict[str, tf.Tensor]
_PER_INSTANCE = ('boxes', 'classes', 'masks')
_PIXELS_PER_BYTE = 8
# Number of leading axes that change their length.
_CHANGING_AXES = {'image': 2, 'boxes': 1, 'classes': 1, 'masks': 1}


def paste_objects(
  placed: Tensors, other: Tensors, chosen: tf.Tensor, min_visible: float
) -> Tensors:
  """An image with objects of another image in front of its own ones.

  Hidden pixels are removed from the masks. An object that loses pixels gets the box of the rest, on
  the sides that changed, and is dropped if less than `min_visible` of its pixels are left, or none.
  A pasted object that the padded size cuts gets the box of its visible pixels; it is not pasted if
  less than `min_visible` of its pixels would be visible. Where there are semantic maps, the pasted
  pixels get the labels of the other image.

  Args:
    placed: the image that objects are pasted into.
    other: the image that the objects are from.
    chosen: [num_chosen] int32 rows of the objects in `other`.
    min_visible: share of an object that must be visible, 0..1.

  Returns:
    The image in the form of `placed`; if nothing is pasted, it is unchanged.
  """
  pasted = _objects_on_canvas(other, chosen, tf.shape(placed['masks'])[1:], min_visible)

  @without_autograph
  def paste() -> Tensors:
    return _paste(placed, other, pasted, min_visible)

  result = tf.cond(tf.size(pasted['classes']) > 0, paste, lambda: placed)
  # The condition forgets lengths that stay.
  return {
    key: tf.ensure_shape(value, [None] * axes + placed[key].shape[axes:])
    for key, value in result.items()
    for axes in [_CHANGING_AXES.get(key, 0)]
  }


def restore_padding(image: tf.Tensor, placed: Tensors) -> tf.Tensor:
  """An image of changed pixels with unchanged padding between it and objects beyond its border.

  Args:
    image: [visible_h, visible_w, channels] changed pixels.
    placed: the placed image that they are of.
  """
  visible_hw = tf.shape(image)[:2]

  @without_autograph
  def restored() -> tf.Tensor:
    masks = placed['masks']
    front = tf.foldl(tf.bitwise.bitwise_or, masks, tf.zeros(tf.shape(masks)[1:], tf.uint8))
    height, width = tf.unstack(visible_hw)
    is_front = tf.cast(mask_ops.unpack_bits(front)[:height, :width], tf.bool)
    keeps = is_front | _inside(placed['own_hw'], visible_hw)
    return tf.where(keeps[:, :, tf.newaxis], image, placed['padding_value'])

  # Only pasted objects make an image larger, so that it has one.
  has_grown = tf.reduce_any(visible_hw > placed['own_hw'])
  return tf.ensure_shape(tf.cond(has_grown, restored, lambda: image), image.shape)


def _inside(inner_hw: tf.Tensor, outer_hw: tf.Tensor) -> tf.Tensor:
  """Which pixels of an outer size are in an inner one at the origin, [height, width] bool."""
  rows, columns = (tf.range(outer_hw[axis]) < inner_hw[axis] for axis in (0, 1))
  return rows[:, tf.newaxis] & columns


def _objects_on_canvas(
  other: Tensors, chosen: tf.Tensor, canvas: tf.Tensor, min_visible: float
) -> Tensors:
  """Boxes, classes and masks of the chosen objects of which enough is visible."""
  boxes, classes, masks = (tf.gather(other[key], chosen) for key in _PER_INSTANCE)
  areas = mask_ops.packed_areas(masks)
  masks = _fit(masks, tf.concat([[-1], canvas], 0), 0)
  visible = mask_ops.packed_areas(masks)
  boxes = mask_ops.refit_boxes(boxes, masks, visible < areas)
  limits = tf.cast(canvas * [1, _PIXELS_PER_BYTE], tf.float32)
  boxes = tf.minimum(boxes, tf.tile(limits, [2]))
  keep = _enough(visible, areas, min_visible)
  return {
    key: tf.boolean_mask(value, keep) for key, value in zip(_PER_INSTANCE, (boxes, classes, masks))
  }


def _paste(placed: Tensors, other: Tensors, pasted: Tensors, min_visible: float) -> Tensors:
  front = tf.foldl(tf.bitwise.bitwise_or, pasted['masks'])  # [padded_h, padded_w / 8]
  rest = _hide(placed, front, min_visible)
  instances = {key: tf.concat([rest[key], pasted[key]], 0) for key in _PER_INSTANCE}
  # An annotated box can end a little behind the last pixel of its mask.
  extents = [
    mask_ops.packed_extents(front[tf.newaxis])[:, 2:],
    tf.math.ceil(pasted['boxes'][:, 2:]),
  ]
  extent = tf.cast(tf.reduce_max(tf.concat(extents, 0), axis=0), tf.int32)
  visible_hw = tf.maximum(tf.shape(placed['image'])[:2], extent)
  is_front = tf.cast(mask_ops.unpack_bits(front), tf.bool)  # [padded_h, padded_w]
  result = {
    **placed,
    **instances,
    'image': _paste_image(placed, other['image'], is_front, visible_hw),
    'image_info': tf.tensor_scatter_nd_update(
      placed['image_info'], [[1]], [tf.cast(visible_hw, tf.float32)]
    ),
  }
  if 'semantic' in placed:
    labels = _fit(other['semantic'], tf.shape(is_front), images.IGNORED_LABEL)
    result['semantic'] = tf.where(is_front, labels, placed['semantic'])
  return result


def _hide(placed: Tensors, front: tf.Tensor, min_visible: float) -> Tensors:
  """Boxes, classes and masks of the objects of an image behind the pixels `front`."""
  masks = placed['masks'] & ~front
  before, after = (mask_ops.packed_areas(array) for array in (placed['masks'], masks))
  lost = after < before
  old, new = (
    mask_ops.packed_extents(tf.boolean_mask(array, lost)) for array in (placed['masks'], masks)
  )
  # A side that is not hidden stays where it was annotated, which is between two pixels.
  boxes = tf.where(old == new, tf.boolean_mask(placed['boxes'], lost), new)
  boxes = tf.tensor_scatter_nd_update(placed['boxes'], tf.where(lost), boxes)
  keep = ~lost | _enough(after, before, min_visible)
  return {
    key: tf.boolean_mask(value, keep)
    for key, value in zip(_PER_INSTANCE, (boxes, placed['classes'], masks))
  }


def _enough(visible: tf.Tensor, areas: tf.Tensor, min_visible: float) -> tf.Tensor:
  """Whether the visible numbers of pixels are a large enough share of the areas, and not 0."""
  shares = tf.math.divide_no_nan(tf.cast(visible, tf.float32), tf.cast(areas, tf.float32))
  return (visible > 0) & (shares >= min_visible)


def _paste_image(
  placed: Tensors, other: tf.Tensor, is_front: tf.Tensor, visible_hw: tf.Tensor
) -> tf.Tensor:
  """The image [visible_h, visible_w, channels] with pixels of the other one."""
  image = placed['image']
  height, width = tf.unstack(visible_hw)
  shape = tf.concat([visible_hw, tf.shape(image)[2:]], 0)
  inside = _inside(tf.shape(image)[:2], visible_hw)
  image = tf.where(inside[:, :, tf.newaxis], _fit(image, shape, 0), placed['padding_value'])
  return tf.where(is_front[:height, :width, tf.newaxis], _fit(other, shape, 0), image)


def _fit(array: tf.Tensor, shape: tf.Tensor, padding: int) -> tf.Tensor:
  """The array, cut or padded at its ends to a shape; -1 stands for the length that it has."""
  shape = tf.where(shape < 0, tf.shape(array), shape)
  cut = tf.slice(array, tf.zeros_like(shape), tf.minimum(shape, tf.shape(array)))
  missing = shape - tf.shape(cut)
  paddings = tf.stack([tf.zeros_like(missing), missing], axis=1)
  return tf.pad(cut, paddings, constant_values=tf.cast(padding, array.dtype))
