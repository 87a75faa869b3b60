"""Detections for supervision, whose trackers, annotators and metrics then work with them."""

import numpy as np

from htc_tf.errors import InputError, missing_package
from htc_tf.serving.detected_image import DetectedImage

try:
  import supervision
except ImportError as failure:
  raise missing_package(
    'Detections cannot be given to supervision', 'supervision', 'supervision', failure
  ) from failure


def to_detections(image: DetectedImage) -> 'supervision.Detections':
  """The detections of an image, best score first.

  `class_id` counts from 0, as usual in supervision: it is the position of the class in
  `image.category_names`, and its name is in `data['class_name']`. Masks have the size of the image,
  so that many objects in a large image need much memory.

  Example:
    for image in htc_tf.load_model('model').detect('street.jpg'):
      detections = to_detections(image)
      supervision.MaskAnnotator().annotate(image.pixels.copy(), detections)

  Args:
    image: an image from `HTCPredictor.detect`.

  Raises:
    InputError: it is not one image from there, but for example all of them.
  """
  if not isinstance(image, DetectedImage):
    raise InputError(
      'These are not the detections of an image',
      expected='one image of model.detect: for image in model.detect(...): to_detections(image)',
      got=type(image).__name__,
      likely_cause='the result of model.detect as a whole, or the arrays of model.predict',
    )
  return supervision.Detections(
    xyxy=image.boxes_xyxy,
    mask=image.masks,
    confidence=image.scores,
    class_id=image.classes.astype(int) - 1,
    data={'class_name': np.array(image.names, dtype=str)},
  )
