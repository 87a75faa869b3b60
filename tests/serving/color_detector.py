"""A detector that finds every object of a picture by its color, to see what tiles do to it."""

import cv2
import numpy as np

from htc_tf.data import mask_codec
from htc_tf.data.sample_format import RGB
from htc_tf.serving.instances import Instances
from htc_tf.serving.predict_files import Detector


def picture(image_hw, dtype=np.uint8, channels=3):
  """A dark picture with bright objects, and the mask of each, largest value first.

  The first channel is the number of the object from the top of its range, which is also its score.
  """
  rng = np.random.default_rng(0)
  pixels = rng.integers(0, 30, (*image_hw, channels)).astype(dtype)
  masks = []
  height, width = image_hw
  for number, (top, left, rows, columns) in enumerate(
    [
      (0, 0, 5, 9),
      (2, 20, height // 2, 7),
      (height - 12, 3, 12, width - 3),
      (height // 3, width // 2, 20, 15),
      (height // 2 + 5, width // 4, 9, width // 2),
    ]
  ):
    mask = np.zeros(image_hw, bool)
    mask[top : top + rows, left : left + columns] = True
    mask[top : top + 2, left : left + 2] = False  # So that turned masks are others.
    pixels[mask, 0] = 250 - number
    masks.append(mask)
  return pixels, masks


def detect(images, sample_format=RGB):
  """The objects of each image: connected pixels with a first channel above 200."""
  return [_instances(image.samples(sample_format)[..., 0]) for image in images]


def detector(calls=None, sample_format=RGB, **changes):
  """The detector; it adds the sizes of the images of each call to `calls`."""

  def run(images):
    if calls is not None:
      calls.append([image.size for image in images])
    return detect(images, sample_format)

  return Detector(run, ['thing'], [1], sample_format=sample_format, **changes)


def _instances(values):
  boxes, scores, rles = [], [], []
  for value in np.unique(values[values > 200])[::-1]:
    count, labels = cv2.connectedComponents((values == value).astype(np.uint8))
    for number in range(1, count):
      mask = labels == number
      rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
      boxes.append([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])
      scores.append(value / 256)
      rles.append(mask_codec.encode(mask))
  return Instances(
    np.array(boxes, np.float32).reshape(-1, 4),
    np.ones(len(boxes), np.int32),
    np.array(scores, np.float32),
    rles,
  )
