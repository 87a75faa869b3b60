"""The tf.train.Example of one image, in Model Garden's detection schema plus a semantic map.

The function that needs TensorFlow imports it, so that options can be checked without TensorFlow.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from htc_tf.data import images, left_out
from htc_tf.data import segmentation as segmentations

Features = dict[str, list[Any]]


class LabeledInstance(NamedTuple):
  """An annotation with its class label and bitmap.

  Attributes:
    annotation: cleaned COCO annotation.
    label: class label, 1..K.
    mask: [height, width] uint8 of 0 and 1; None if masks are not needed.
  """

  annotation: dict[str, Any]
  label: int
  mask: np.ndarray | None


def label_instances(
  annotations: Sequence[dict[str, Any]],
  labels: dict[int, int],
  height: int,
  width: int,
  include_masks: bool,
) -> list[LabeledInstance]:
  """Annotations with their labels and bitmaps.

  Args:
    annotations: cleaned annotations of an image.
    labels: class label by category id.
    height: height of the image.
    width: width of the image.
    include_masks: whether bitmaps are needed.
  """
  instances = []
  for annotation in annotations:
    mask = None
    if include_masks:
      mask = segmentations.to_bitmap(annotation['segmentation'], height, width)
    instances.append(LabeledInstance(annotation, labels[annotation['category_id']], mask))
  return instances


def paint_semantic(
  instances: Sequence[LabeledInstance],
  height: int,
  width: int,
  order: str = 'file',
  background: int = 0,
) -> np.ndarray:
  """A semantic map from instances.

  Crowd regions get the ignored label; they are painted first, so that an instance inside a crowd
  region keeps its label. The classes have the labels from 0 on that the background leaves free: 1
  to K with the background 0.

  Args:
    instances: instances with bitmaps.
    height: height of the image.
    width: width of the image.
    order: which of overlapping instances is seen: the later one of the 'file', or the
      'largest_on_top' or 'smallest_on_top' by the area of the mask.
    background: label of the background.

  Returns:
    [height, width] uint8.
  """
  semantic = np.full([height, width], background, np.uint8)
  for instance in sorted(instances, key=lambda item: _depth(item, order)):
    label = instance.label - (instance.label <= background)
    is_crowd = instance.annotation['iscrowd']
    semantic[_mask(instance) > 0] = images.IGNORED_LABEL if is_crowd else label
  return semantic


def _depth(instance: LabeledInstance, order: str) -> tuple[bool, int]:
  """A key by which instances are painted: what has a larger one covers the others."""
  is_object = not instance.annotation['iscrowd']
  sign = {'file': 0, 'largest_on_top': 1, 'smallest_on_top': -1}[order]
  return is_object, sign and sign * int(np.count_nonzero(_mask(instance)))


def image_features(entry: dict[str, Any], image: images.EncodedImage) -> Features:
  """Features of the image; `entry` is its COCO image entry.

  Channels and bits are named unless they are those of RGB images of 8 bits. `is_annotated` says
  that the image has annotations of which none is usable.
  """
  features: Features = {
    'image/encoded': [image.content],
    'image/format': [image.format.encode()],
    'image/filename': [entry['file_name'].encode(errors='surrogateescape')],
    'image/source_id': [str(entry['id']).encode()],
    'image/height': [image.height],
    'image/width': [image.width],
  }
  if not image.sample_format.is_rgb:
    features['image/channels'] = [image.sample_format.num_channels]
    features['image/bits'] = [image.sample_format.bits]
  if entry.get(left_out.ANNOTATED):
    features['image/is_annotated'] = [1]
  return features


def instance_features(
  instances: Sequence[LabeledInstance], height: int, width: int, include_masks: bool
) -> Features:
  """Features of the instances: boxes normalized by the image size, masks as PNG of 0 and 1.

  Args:
    instances: instances, with bitmaps if masks are included.
    height: height of the image.
    width: width of the image.
    include_masks: whether masks are included.
  """
  boxes = np.array([item.annotation['bbox'] for item in instances], np.float64).reshape(-1, 4)
  left, top = boxes[:, 0], boxes[:, 1]
  features = {
    'image/object/bbox/xmin': (left / width).tolist(),
    'image/object/bbox/xmax': ((left + boxes[:, 2]) / width).tolist(),
    'image/object/bbox/ymin': (top / height).tolist(),
    'image/object/bbox/ymax': ((top + boxes[:, 3]) / height).tolist(),
    'image/object/class/label': [item.label for item in instances],
    'image/object/is_crowd': [item.annotation['iscrowd'] for item in instances],
    'image/object/area': [float(item.annotation['area']) for item in instances],
    'image/object/is_left_out': [item.annotation.get(left_out.LEFT_OUT, 0) for item in instances],
  }
  if include_masks:
    features['image/object/mask'] = [images.encode_png(_mask(item)) for item in instances]
  return features


def _mask(instance: LabeledInstance) -> np.ndarray:
  return cast(np.ndarray, instance.mask)  # Not None: callers pass instances with masks.


def semantic_features(semantic: np.ndarray) -> Features:
  """Feature of a semantic map [height, width] uint8."""
  return {'image/segmentation/class/encoded': [images.encode_png(semantic)]}


_FLOAT_FEATURES = ('image/object/bbox/', 'image/object/area')


def serialize(features: Features) -> bytes:
  """The serialized Example; the same features give the same bytes."""
  import tensorflow as tf

  proto = tf.train.Features()
  for key, values in features.items():
    feature = proto.feature[key]
    if key.startswith(_FLOAT_FEATURES):
      feature.float_list.value.extend(values)
    elif values and isinstance(values[0], bytes):
      feature.bytes_list.value.extend(values)
    elif values:
      feature.int64_list.value.extend(values)
  return tf.train.Example(features=proto).SerializeToString(deterministic=True)
