"""An image with three detections, for tests of outputs."""

import numpy as np
from pycocotools import mask as coco_mask

from htc_tf.data.images import image_from_pixels
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.instances import Instances

HW = (40, 60)
PIXELS = np.random.default_rng(1).integers(0, 256, (*HW, 3), np.uint8)


def masks() -> np.ndarray:
  """[3, 40, 60] bool: a rectangle, two parts, and a ring over the rectangle."""
  found = np.zeros((3, *HW), bool)
  found[0, 5:15, 10:30] = True
  found[1, 20:30, 2:12] = found[1, 32:36, 40:50] = True
  found[2, 8:20, 20:34] = True
  found[2, 12:16, 25:30] = False
  return found


def image(with_masks: bool = True, names: tuple[str, ...] = ('cat', 'wild dog')) -> DetectedImage:
  """The image; scores 0.9, 0.8 and 0.7 of the classes 1, 2 and 1."""
  rles = [coco_mask.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks()]
  instances = Instances(
    np.array([[5, 10, 15, 30], [20, 2, 36, 50], [8, 20, 20, 34]], np.float32),
    np.array([1, 2, 1], np.int32),
    np.array([0.9, 0.8, 0.7], np.float32),
    rles if with_masks else None,
  )
  return DetectedImage(image_from_pixels(PIXELS), instances, names, [5, 9] if names else [])
