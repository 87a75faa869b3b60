"""Exact RoIAlign by dense products of static shapes, for XLA.

RoIAlign is separable: output = weights_y @ map @ transpose(weights_x). Both products run over whole
axes of a map, for one chunk of RoIs at a time to bound memory. RoIs are ordered by map, so that
most chunks read only one map.
"""

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from htc_tf.ops import bin_samples
from htc_tf.ops.roi_view import View
from htc_tf.ops.without_autograph import without_autograph

# Maximum number of elements in the product over one axis for one chunk: 128 MiB of float32.
_MAX_ELEMENTS = 2**25


@without_autograph
def pool(maps: Sequence[tf.Tensor], rois: tf.Tensor, views: Sequence[View], size: int) -> tf.Tensor:
  """RoIs pooled from every view, summed over the views.

  Args:
    maps: [batch, height, width, channels] each, of static shape.
    rois: [batch, num_rois, 4] float32 yxyx in padded-image pixels, of static shape.
    views: one or more views.
    size: number of bins of an RoI along each axis.

  Returns:
    [batch, num_rois, size, size, channels] float32.
  """
  pooling = _Pooling(views, size, _chunk_size(maps, size))
  batch, num_rois = rois.shape[:2]
  indices = tf.stack([tf.reshape(view.maps, [batch, num_rois]) for view in views], axis=-1)
  strides = tf.stack([tf.reshape(view.strides, [batch, num_rois]) for view in views], axis=-1)
  windows = (rois, indices, strides)

  @tf.custom_gradient
  def product(*maps):
    maps = [tf.cast(x, tf.float32) for x in maps]
    pooled = tf.map_fn(
      lambda image: pooling.forward(image[0], image[1]),
      (maps, windows),
      fn_output_signature=tf.float32,
    )

    @without_autograph
    def gradient(upstream):
      return tf.map_fn(
        lambda image: pooling.backward(*image),
        (maps, windows, upstream),
        fn_output_signature=[tf.float32] * len(maps),
      )

    return pooled, gradient

  pooled = product(*maps)
  return tf.ensure_shape(pooled, [batch, num_rois, size, size, maps[0].shape[-1]])


def _chunk_size(maps: Sequence[tf.Tensor], size: int) -> int:
  """Number of RoIs that are pooled together, bounded for the largest map."""
  widest = max(x.shape[2] * x.shape[3] for x in maps)
  return max(1, _MAX_ELEMENTS // (size * widest))


class _Pooling:
  """Forward and backward pass of one image.

  In both, `windows` are the RoIs [num_rois, 4], and for every view the index of the map and its
  stride, both [num_rois, num_views].

  Args:
    views: views, as for `pool`.
    size: number of bins along each axis.
    chunk_size: number of RoIs that are pooled together.
  """

  def __init__(self, views: Sequence[View], size: int, chunk_size: int):
    self._views = [(view.candidates, view.subdivision) for view in views]
    self._size = size
    self._chunk_size = chunk_size

  def forward(self, maps: Sequence[tf.Tensor], windows: Sequence[tf.Tensor]) -> tf.Tensor:
    """Pooled RoIs [num_rois, size, size, channels] of maps [height, width, channels]."""
    num_rois, channels = windows[0].shape[0], maps[0].shape[-1]
    shape = [self._chunk(num_rois), self._size, self._size, channels]

    def pool_chunk(chunk):
      def add(weights, x, pooled):
        return pooled + _align(x, *weights)

      return self._over_parts(dict(enumerate(maps)), chunk, add, tf.zeros(shape))

    order = _order(windows)
    chunks = tf.map_fn(pool_chunk, self._in_chunks(windows, order), fn_output_signature=tf.float32)
    pooled = tf.reshape(chunks, [-1, *shape[1:]])[:num_rois]
    return tf.gather(pooled, tf.math.invert_permutation(order))

  def backward(
    self, maps: Sequence[tf.Tensor], windows: Sequence[tf.Tensor], upstream: tf.Tensor
  ) -> list[tf.Tensor]:
    """Gradients of the maps."""

    def add_chunk(gradients, inputs):
      *chunk, upstream = inputs
      gradients = list(gradients)
      for index, x in enumerate(maps):

        def add(weights, _, total):
          return total + _align_gradient(upstream, *weights)

        gradients[index] = self._over_parts({index: x}, chunk, add, gradients[index])
      return gradients

    inputs = self._in_chunks((*windows, upstream), _order(windows))
    return tf.foldl(add_chunk, inputs, initializer=[tf.zeros_like(x) for x in maps])

  def _over_parts(
    self,
    maps: Mapping[int, tf.Tensor],
    chunk: Sequence[tf.Tensor],
    add: Callable[..., tf.Tensor],
    total: tf.Tensor,
  ) -> tf.Tensor:
    """Total after `add` for each view and map that RoIs of the chunk are pooled from.

    Args:
      maps: maps to consider, by index.
      chunk: windows of a chunk.
      add: function from the weights along both axes, the map and the total to the new total.
      total: initial total.
    """
    for view, (candidates, _) in enumerate(self._views):
      for index in candidates:
        if index in maps:
          total = self._add_part(view, index, maps[index], chunk, add, total)
    return total

  def _add_part(
    self,
    view: int,
    index: int,
    x: tf.Tensor,
    chunk: Sequence[tf.Tensor],
    add: Callable[..., tf.Tensor],
    total: tf.Tensor,
  ) -> tf.Tensor:
    """Total after `add` for those RoIs of a chunk that a view pools from the map `x` at `index`."""
    rois, indices, strides = chunk
    used = tf.equal(indices[:, view], index)
    boxes = tf.where(used[:, None], rois, -1.0)
    subdivision = self._views[view][1]

    def run() -> tf.Tensor:
      return add(self._weights(boxes, strides[:, view], subdivision, x.shape), x, total)

    return tf.cond(tf.reduce_any(used), run, lambda: total)

  def _weights(
    self, boxes: tf.Tensor, strides: tf.Tensor, subdivision: int, shape: tf.TensorShape
  ) -> tuple[tf.Tensor, ...]:
    """Weights of rows [num_rois, size, height] and of columns [num_rois, size, width]."""
    return tuple(
      bin_samples.static_pixel_weights(
        bin_samples.axis_samples(
          boxes[:, axis], boxes[:, axis + 2], strides, self._size, shape[axis], subdivision
        ),
        shape[axis],
      )
      for axis in (0, 1)
    )

  def _chunk(self, num_rois: int) -> int:
    return min(self._chunk_size, max(num_rois, 1))

  def _in_chunks(self, values: Sequence[tf.Tensor], order: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Ordered rows in chunks, [num_rois, ...] to [num_chunks, chunk, ...]; padding rows are -1."""
    num_rois = order.shape[0]
    chunk = self._chunk(num_rois)
    missing = -num_rois % chunk

    def cut(rows: tf.Tensor) -> tf.Tensor:
      paddings = [[0, missing]] + [[0, 0]] * (rows.shape.rank - 1)
      rows = tf.pad(tf.gather(rows, order), paddings, constant_values=tf.cast(-1, rows.dtype))
      return tf.reshape(rows, [-1, chunk, *rows.shape[1:]])  # [num_chunks, chunk, ...]

    return tuple(cut(rows) for rows in values)


def _order(windows: Sequence[tf.Tensor]) -> tf.Tensor:
  """Rows of the RoIs, [num_rois], sorted by the map of their first view."""
  return tf.argsort(windows[1][:, 0], stable=True)


def _align(x: tf.Tensor, weights_y: tf.Tensor, weights_x: tf.Tensor) -> tf.Tensor:
  """Pooled RoIs [num_rois, size, size, channels] of a map [height, width, channels]."""
  rows = tf.einsum('nih,hwc->niwc', weights_y, x)
  return tf.einsum('njw,niwc->nijc', weights_x, rows)


def _align_gradient(upstream: tf.Tensor, weights_y: tf.Tensor, weights_x: tf.Tensor) -> tf.Tensor:
  """Gradient [height, width, channels] of the map."""
  rows = tf.einsum('njw,nijc->niwc', weights_x, upstream)
  return tf.einsum('nih,niwc->hwc', weights_y, rows)
