"""From pictures to detections in their own pixels: what predict and serving run."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras

from htc_tf.data import preprocess
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.data.frames import Frame, FrameRule
from htc_tf.errors import InputError
from htc_tf.modeling.htc_model import HTCModel

Images = np.ndarray | tf.Tensor
# What Keras takes batch by batch; they are checked one at a time.
_BATCHES = (tf.data.Dataset, tf.distribute.DistributedDataset, Iterator, tf_keras.utils.Sequence)


class InputRule(NamedTuple):
  """How pictures become the network input.

  Attributes:
    min_size: short side after resizing.
    max_size: bound on the long side.
    frame: height, width that no resized picture may exceed.
    divisor: the input is padded to a multiple of it; None pads to the whole frame.
    frames: static frames, as `FrameRule.sizes`; the input is padded to the least that holds every
      picture of the batch, if there is one.
  """

  min_size: int
  max_size: int
  frame: tuple[int, int]
  divisor: int | None
  frames: tuple[tuple[int, int], ...] = ()

  def bound(self, image_hw: tf.Tensor) -> Frame:
    """Height and width that a picture of [2] original pixels has to fit, as in evaluation."""
    size = preprocess.scaled_size(image_hw, self.min_size, self.max_size)
    return FrameRule(self.frames, self.frame, self.divisor).bound(size)

  def padded(self, size: tf.Tensor) -> tf.Tensor:
    """[2] int32 height and width of the input for a batch whose largest are `size`."""
    rounded = -(-size // self.divisor) * self.divisor
    if not self.frames:
      return rounded
    frame = FrameRule(self.frames, self.frame, self.divisor).bound(size)
    return tf.where(tf.reduce_all(size <= frame), frame, rounded)


class HTCPredictor(tf_keras.Model):
  """A trained model behind its pre- and post-processing; Keras `predict` takes pictures.

  Args:
    model: with its weights.
    input_rule: how pictures are resized and padded.
    dataset_info: names and ids of the classes; None if unknown.
    **kwargs: passed to Model.
  """

  def __init__(
    self,
    model: HTCModel,
    input_rule: InputRule,
    dataset_info: DatasetInfo | None = None,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._autocast = False
    self.model = model
    self._input_rule = input_rule
    # Keras would wrap the fields of a dataclass attribute; a closure stays as it is.
    self._dataset_info = lambda: dataset_info

  @property
  def dataset_info(self) -> DatasetInfo | None:
    """The classes, or None if unknown."""
    return self._dataset_info()

  @property
  def frame(self) -> tuple[int, int]:
    """Height and width that nothing `prepare` gives exceeds."""
    return self._input_rule.frame

  def call(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
    """Detects in a batch of pictures of one size.

    Args:
      images: [batch, height, width, 3] uint8 RGB.

    Returns:
      detection_boxes [batch, max_detections, 4] yxyx in pixels of the pictures,
      detection_scores and detection_classes (1..num_classes-1) [batch, max_detections],
      num_detections [batch], and with masks detection_masks [batch, max_detections, size, size]
      probabilities within each box. Rows from num_detections on are zero.

    Raises:
      InputError: another rank or type.
    """
    check_images(images)
    return self.detect_prepared(*self.prepare(images))

  def prepare(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Network input and image_info of one picture or of a batch of one size.

    Args:
      images: [height, width, 3] or [batch, height, width, 3] uint8 RGB.

    Returns:
      As `preprocess.preprocess_image`.
    """
    rule = self._input_rule
    return preprocess.preprocess_image(
      images, rule.min_size, rule.max_size, rule.bound(tf.shape(images)[-3:-1])
    )

  def predict(
    self, x: Images | tf.data.Dataset | Iterator | tf_keras.utils.Sequence, **kwargs: Any
  ) -> dict[str, np.ndarray]:
    """Detects in pictures of one size, as many at a time as Keras' `batch_size` says.

    Args:
      x: [num, height, width, 3] uint8 RGB, or a data set, iterator or Keras `Sequence` of such
        batches.
      **kwargs: of Keras' `predict`.

    Returns:
      As `call`, with arrays of all pictures.

    Raises:
      InputError: another rank or type, or no image.
    """
    if not isinstance(x, _BATCHES):
      check_images(x)
      if x.shape[0] == 0:
        raise InputError(
          'There is nothing to predict on',
          expected='one image or more',
          got=f'{list(x.shape)}',
          likely_cause='an empty selection',
        )
    return super().predict(x, **kwargs)

  def detect_prepared(self, inputs: tf.Tensor, info: tf.Tensor) -> dict[str, tf.Tensor]:
    """Runs the model and maps its boxes back to the pictures, whose sizes may differ.

    Args:
      inputs: [batch, height, width, 3] as `prepare` gives it, or padded further.
      info: [batch, 4, 2] likewise.

    Returns:
      As `call`, each picture in its own pixels.
    """
    sizes, scales, originals = info[:, 1], info[:, 2], info[:, 0]
    if self._input_rule.divisor is not None:
      inputs = self._crop(inputs, tf.reduce_max(sizes, 0))
    outputs = self.model({'images': inputs, 'image_shape': sizes}, training=False).to_dict()
    boxes = outputs['detection_boxes'] / tf.tile(scales, [1, 2])[:, tf.newaxis]
    limits = tf.tile(originals, [1, 2])[:, tf.newaxis]
    return {**outputs, 'detection_boxes': tf.clip_by_value(boxes, 0.0, limits)}

  def _crop(self, inputs: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Cuts padding beyond what the rule asks for."""
    height, width = tf.unstack(self._input_rule.padded(tf.cast(size, tf.int32)))
    return inputs[:, :height, :width]


def check_images(images: Images) -> None:
  """Raises InputError unless `images` is [batch, height, width, 3] uint8."""
  if not isinstance(images, (np.ndarray, tf.Tensor, tf.Variable)):
    raise InputError(
      'The model cannot read these images',
      expected='an array or a tensor',
      got=type(images).__name__,
      likely_cause='file names, or a list of pictures: those of one size make an array by np.stack',
    )
  shape = tuple(images.shape)
  if (
    len(shape) != 4 or shape[-1] not in (3, None) or images.dtype.name != 'uint8' or 0 in shape[1:3]
  ):
    raise InputError(
      'The model cannot read these images',
      expected='[batch, height, width, 3] uint8, RGB',
      got=f'{list(shape)} {images.dtype.name}',
      likely_cause='a single image without the batch axis, grey or RGBA channels, '
      'or pixels already scaled to floats',
    )
