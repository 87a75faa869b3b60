"""Windows of a map and their mask, for attention within windows (Liu et al. 2021, section 3.2)."""

import tensorflow as tf

# It is added to the logits of pairs of pixels that must not attend to each other, as published.
_SEPARATED = -100.0


def pad_to_multiple(x: tf.Tensor, divisor: int) -> tf.Tensor:
  """The map with zeros to the right and below, up to multiples of `divisor`.

  Args:
    x: [batch, height, width, channels].
    divisor: divisor of the height and width of the result.
  """
  height, width = tf.unstack(tf.shape(x)[1:3])
  padded = tf.pad(x, [[0, 0], [0, -height % divisor], [0, -width % divisor], [0, 0]])
  sides = (side if side is None else side + -side % divisor for side in x.shape[1:3])
  return tf.ensure_shape(padded, [x.shape[0], *sides, x.shape[3]])


def partition(x: tf.Tensor, window: int) -> tf.Tensor:
  """The pixels of each window, row by row.

  Args:
    x: [batch, height, width, channels]; height and width are multiples of `window`.
    window: side of a window in pixels.

  Returns:
    [batch * num_windows, window * window, channels], image by image, windows row by row.
  """
  shape, channels = tf.shape(x), x.shape[3]
  rows, columns = shape[1] // window, shape[2] // window
  x = tf.reshape(x, [shape[0], rows, window, columns, window, channels])
  x = tf.transpose(x, [0, 1, 3, 2, 4, 5])  # [batch, rows, columns, window, window, channels]
  return tf.reshape(x, [shape[0] * rows * columns, window * window, channels])


def unite(windows: tf.Tensor, like: tf.Tensor, window: int) -> tf.Tensor:
  """The map of `partition`'s windows; the inverse of `partition`.

  Args:
    windows: [batch * num_windows, window * window, channels].
    like: [batch, height, width, ...]; the map has the batch, height and width of this one.
    window: side of a window in pixels.

  Returns:
    [batch, height, width, channels].
  """
  shape, channels = tf.shape(like), windows.shape[2]
  rows, columns = shape[1] // window, shape[2] // window
  x = tf.reshape(windows, [shape[0], rows, columns, window, window, channels])
  x = tf.transpose(x, [0, 1, 3, 2, 4, 5])  # [batch, rows, window, columns, window, channels]
  return tf.reshape(x, [shape[0], shape[1], shape[2], channels])


def shifted_mask(like: tf.Tensor, window: int, shift: int) -> tf.Tensor:
  """Summands on the logits of the windows of a map that was rolled by `shift` up and to the left.

  By the roll, windows at the right and below hold pixels of opposite borders of the map, which are
  no neighbors. Pairs of such pixels get -100, all others 0.

  Args:
    like: [batch, height, width, channels] map whose size counts; padding was added already.
    window: side of a window in pixels.
    shift: number of pixels of the roll, less than `window`.

  Returns:
    [num_windows, window * window, window * window] float32.
  """
  rows, columns = (_region(tf.shape(like)[axis], window, shift) for axis in (1, 2))
  regions = 3 * rows[:, tf.newaxis] + columns  # [height, width]
  of_windows = partition(regions[tf.newaxis, :, :, tf.newaxis], window)  # [num, window^2, 1]
  differ = tf.not_equal(of_windows, tf.transpose(of_windows, [0, 2, 1]))
  return tf.where(differ, _SEPARATED, 0.0)


def _region(size: tf.Tensor, window: int, shift: int) -> tf.Tensor:
  """Region of each position of a rolled axis: 2 for the rolled ones, 1 for their window, 0 else."""
  positions = tf.range(size)
  return tf.cast(positions >= size - window, tf.int32) + tf.cast(
    positions >= size - shift, tf.int32
  )
