"""Checks of a signature's input inside the graph, and the row that replaces an empty batch.

Inputs of signatures have no static shape: TensorFlow would reject another rank in its own words,
before anything in the graph can state what was expected.
"""

import tensorflow as tf

from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.errors import InputError

_RANK = 4  # of a batch of images, the input with the most axes


def images_or_one(
  inputs: tf.Tensor, sample_format: SampleFormat = RGB
) -> tuple[tf.Tensor, tf.Tensor]:
  """The images [batch, height, width, channels] and their number; one black for an empty batch.

  Args:
    inputs: samples of any shape.
    sample_format: channels and depth of the images.

  Raises:
    InvalidArgumentError: (when run) the input is no batch of images of this format with pixels; the
      message is that of an `InputError`.
  """
  expected = sample_format.num_channels
  others = 'gray or RGBA channels' if sample_format.is_rgb else 'images of other channels'
  batch, height, width, channels = _first_sides(inputs)
  is_empty = tf.equal(batch, 0)
  images = _reshaped_if(
    tf.equal(tf.rank(inputs), _RANK)
    & tf.equal(channels, expected)
    & (is_empty | (tf.minimum(height, width) > 0)),
    inputs,
    [batch, height, width, expected],
    InputError(
      'The model cannot read these images',
      expected=f'[batch, height, width, {expected}] {sample_format.array_type}',
      got='the shape {}',
      likely_cause=f'a single image without the batch axis, or {others}',
    ),
  )
  missing = tf.where(is_empty, tf.maximum([1, 1, 1] - tf.shape(images)[:3], 0), [0, 0, 0])
  padding = [[0, amount] for amount in [*tf.unstack(missing), 0]]
  return tf.pad(images, tf.stack(padding)), batch


def strings_or_one(inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """The strings [batch] and their number; one empty string for an empty batch.

  Args:
    inputs: string of any shape.

  Raises:
    InvalidArgumentError: (when run) the input is no batch; the message is that of an `InputError`.
  """
  batch = _first_sides(inputs)[0]
  strings = _reshaped_if(
    tf.equal(tf.rank(inputs), 1),
    inputs,
    [batch],
    InputError(
      'The model cannot read these strings',
      expected='[batch] string, one encoded image or tf.train.Example per entry',
      got='the shape {}',
      likely_cause='a single image without the batch axis',
    ),
  )
  return tf.concat([strings, tf.fill([tf.maximum(1 - batch, 0)], b'')], 0), batch


def _first_sides(inputs: tf.Tensor) -> list[tf.Tensor]:
  """The lengths of the first axes, each []; 0 for axes that do not exist."""
  return tf.unstack(tf.concat([tf.shape(inputs), [0] * _RANK], 0)[:_RANK], _RANK)


def _reshaped_if(
  is_valid: tf.Tensor, inputs: tf.Tensor, shape: list[tf.Tensor | int], error: InputError
) -> tf.Tensor:
  """The input with a static rank, or the error, which has the shape of the input for {}."""
  static = [side if isinstance(side, int) else None for side in shape]

  def stop() -> tf.Tensor:
    # The name of the class marks the sentence in TensorFlow's message; see `stated_message`.
    message = tf.strings.format(f'{type(error).__name__}: {error}', tf.shape(inputs), summarize=-1)
    with tf.control_dependencies([tf.debugging.Assert(False, [message])]):
      return tf.zeros([0 if side is None else side for side in static], inputs.dtype)

  # Optimizers may drop a check that precedes an identity, but every later step reads this result.
  result = tf.cond(is_valid, lambda: tf.reshape(inputs, tf.stack(shape)), stop)
  return tf.ensure_shape(result, static)
