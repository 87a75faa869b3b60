"""Frames: images resized and padded to one size, as a model exported for other runtimes reads them.

This module needs only NumPy, so that it also serves where TensorFlow is not installed. The pixels
are those of `data.preprocess`, which the other models use.

Example:
  rule = frame.FrameRule(height=800, width=1344, min_size=800, max_size=1333)
  placed = frame.place(image, rule)
  outputs = run(images=placed.images, image_shape=placed.image_shape)
  boxes = frame.boxes_in_image(outputs['detection_boxes'][0], placed)
"""

from typing import NamedTuple

import numpy as np

from htc_tf.errors import InputError


class FrameRule(NamedTuple):
  """Rule by which an image is resized and padded.

  Attributes:
    height: height of the frame, in pixels.
    width: width of the frame.
    min_size: short side of a resized image, unless a limit makes it shorter.
    max_size: limit of its long side. The frame is a limit too.
    num_channels: number of channels of the images.
    bits: number of bits of their samples, 8 or 16.
  """

  height: int
  width: int
  min_size: int
  max_size: int
  num_channels: int = 3
  bits: int = 8


class Placed(NamedTuple):
  """An image in its frame.

  Attributes:
    images: [1, height, width, channels] uint8 or uint16: the resized image in the upper left
      corner, and zeros.
    image_shape: [1, 2] float32 height and width of the resized image.
    image_hw: height and width of the original image.
  """

  images: np.ndarray
  image_shape: np.ndarray
  image_hw: tuple[int, int]


def place(image: np.ndarray, rule: FrameRule) -> Placed:
  """An image, resized by the published rule until it fits into the frame.

  Args:
    image: [height, width, channels] uint8, or uint16 for a model of 16 bits; RGB unless the model
      was made for other images.
    rule: the rule of the exported model.

  Raises:
    InputError: the image has another rank, type or number of channels, or no pixel.
  """
  _check(image, rule)
  image_hw = image.shape[0], image.shape[1]
  height, width = resized_hw(image_hw, rule)
  frame = np.zeros([1, rule.height, rule.width, rule.num_channels], image.dtype)
  frame[0, :height, :width] = _resize(image, (height, width))
  return Placed(frame, np.array([[height, width]], np.float32), image_hw)


def resized_hw(image_hw: tuple[int, int], rule: FrameRule) -> tuple[int, int]:
  """Height and width of an image in the frame.

  Args:
    image_hw: height and width of the original image.
    rule: the rule of the exported model.
  """
  height, width = image_hw
  scale = min(rule.max_size / max(image_hw), rule.min_size / min(image_hw))
  scale = min(scale, rule.height / height, rule.width / width)
  return max(int(height * scale + 0.5), 1), max(int(width * scale + 0.5), 1)


def boxes_in_image(boxes: np.ndarray, placed: Placed) -> np.ndarray:
  """Boxes in pixels of the original image.

  Args:
    boxes: [num, 4] yxyx in pixels of the frame.
    placed: the image in its frame.

  Returns:
    [num, 4] float32 yxyx, clipped to the image.
  """
  original = np.array(placed.image_hw, np.float32)
  scales = np.tile(placed.image_shape[0] / original, 2)
  return np.clip(np.asarray(boxes, np.float32) / scales, 0, np.tile(original, 2))


def _check(image: np.ndarray, rule: FrameRule) -> None:
  dtype = f'uint{rule.bits}'
  shape = np.shape(image)
  if len(shape) != 3 or shape[2] != rule.num_channels or 0 in shape or image.dtype != dtype:
    raise InputError(
      'The image cannot be placed in a frame',
      expected=f'[height, width, {rule.num_channels}] {dtype}',
      got=f'{list(shape)} {getattr(image, "dtype", type(image).__name__)}',
      likely_cause='a batch of images, channels first, gray or RGBA channels, or pixels already '
      'scaled to floats',
    )


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Bilinear resize with half-pixel centers and without antialiasing, then rounded.

  The order of the operations is that of TensorFlow's kernel, which computes in float32.
  """
  if image.shape[:2] == size:
    return image
  top, bottom, share_y = _neighbors(image.shape[0], size[0])
  left, right, share_x = _neighbors(image.shape[1], size[1])
  share_y, share_x = share_y[:, None, None], share_x[:, None]

  def along_x(rows: np.ndarray) -> np.ndarray:
    of_rows = image[rows].astype(np.float32)
    return of_rows[:, left] + (of_rows[:, right] - of_rows[:, left]) * share_x

  upper = along_x(top)
  return np.floor(upper + (along_x(bottom) - upper) * share_y + 0.5).astype(image.dtype)


def _neighbors(old_size: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Lower and upper pixel that each new pixel lies between, and the share of the upper one."""
  step = np.float32(old_size) / np.float32(size)
  positions = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * step - np.float32(0.5)
  lower = np.floor(positions)
  upper = np.minimum(np.ceil(positions), old_size - 1).astype(np.int64)
  return np.maximum(lower, 0).astype(np.int64), upper, positions - lower
