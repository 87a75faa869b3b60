"""Heads on given RoIs."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.outputs import ImageFeatures
from parity.layout import yx

_CHUNK = 500  # RoIs pooled at once: memory


class GivenRois:
  """RoIs of a batch in the reference's order, and the model's heads on them.

  Args:
    model: with the reference weights.
    features: of the batch.
    rois: [num, 5] image index, x1, y1, x2, y2 in input pixels.
  """

  def __init__(self, model: HTCModel, features: ImageFeatures, rois: np.ndarray):
    self._model = model
    self._parts: list[tuple[ImageFeatures, tf.Tensor]] = []
    images = rois[:, 0].astype(int)
    self._order = np.argsort(np.argsort(images, kind='stable'))  # from image by image back
    for image in np.unique(images):
      boxes = yx(rois[images == image, 1:])
      one = _features_of(features, image)
      self._parts += [
        (one, tf.constant(boxes[np.newaxis, start : start + _CHUNK]))
        for start in range(0, len(boxes), _CHUNK)
      ]

  def box_features(self, with_semantic: bool = True) -> np.ndarray:
    """[num, 7, 7, channels] of the pyramid, with or without the semantic context."""
    return self._pool(self._model.cascade.box_features, with_semantic)

  def mask_features(self, with_semantic: bool = True) -> np.ndarray:
    """[num, 14, 14, channels] of the pyramid, with or without the semantic context."""
    return self._pool(self._model.cascade.mask_features, with_semantic)

  def box_head(self, stage: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits [num, classes], deltas [num, 4] and boxes decoded and clipped [num, 4]."""
    part, outputs = self._model.cascade.stages[stage], []
    for features, boxes in self._parts:
      logits, deltas = part.box_head(self._model.cascade.box_features(features, boxes))
      outputs.append((logits[0], deltas[0], part.decode(deltas, boxes, features.image_shape)[0]))
    return tuple(np.concatenate(arrays)[self._order] for arrays in zip(*outputs))

  def _pool(self, layer, with_semantic: bool) -> np.ndarray:
    return np.concatenate(
      [
        layer(features if with_semantic else features._replace(semantic=None), boxes)[0]
        for features, boxes in self._parts
      ]
    )[self._order]


def mask_chain(model: HTCModel, roi_features: np.ndarray, stage: int) -> tf.Tensor:
  """Mask feature of `stage` [num, 14, 14, channels], information flowing from stage 0 on."""
  feature = None
  for part in model.cascade.stages[: stage + 1]:
    feature = part.mask_head(tf.constant(roi_features), feature)
  return feature


def mask_logits(
  model: HTCModel, feature: tf.Tensor, stage: int, classes: Sequence[int]
) -> np.ndarray:
  """Mask logits [num, len(classes), 28, 28] of the given classes, 1 the first foreground class."""
  predictor = model.cascade.stages[stage].mask_predictor
  return np.stack([predictor(feature, np.full([len(feature)], label)) for label in classes], 1)


def _features_of(features: ImageFeatures, image: int) -> ImageFeatures:
  """The features of one image of a batch, without the table, which holds all images."""
  maps = (features.pyramid, features.semantic, features.image_shape)
  return ImageFeatures(*tf.nest.map_structure(lambda x: x[image : image + 1], maps))
