"""The heads of the cascade on given RoIs."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.outputs import ImageFeatures
from parity.layout import yx

_CHUNK = 500  # number of RoIs pooled at once, to save memory


class GivenRois:
  """RoIs of a batch in the order of the reference, and the outputs of the heads on them.

  Args:
    model: model with the reference weights.
    features: features of the batch.
    rois: [num, 5] image index, x1, y1, x2, y2 in input pixels.
  """

  def __init__(self, model: HTCModel, features: ImageFeatures, rois: np.ndarray):
    self._model = model
    self._parts: list[tuple[ImageFeatures, tf.Tensor]] = []
    images = rois[:, 0].astype(int)
    # Rows of the results, which are sorted by image, in the order of `rois`.
    self._order = np.argsort(np.argsort(images, kind='stable'))
    for image in np.unique(images):
      boxes = yx(rois[images == image, 1:])
      one = _features_of(features, image)
      self._parts += [
        (one, tf.constant(boxes[np.newaxis, start : start + _CHUNK]))
        for start in range(0, len(boxes), _CHUNK)
      ]

  def box_features(self, with_semantic: bool = True) -> np.ndarray:
    """RoI features [num, 7, 7, channels], with or without those of the semantic branch."""
    return self._pool(self._model.cascade.box_features, with_semantic)

  def mask_features(self, with_semantic: bool = True) -> np.ndarray:
    """RoI features [num, 14, 14, channels], with or without those of the semantic branch."""
    layer = self._model.cascade.mask_features
    assert layer is not None, 'The model has no masks.'
    return self._pool(layer, with_semantic)

  def box_head(self, stage: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits [num, classes], deltas [num, 4], and decoded and clipped boxes [num, 4]."""
    cascade_stage, outputs = self._model.cascade.stages[stage], []
    for features, boxes in self._parts:
      logits, deltas = cascade_stage.box_head(self._model.cascade.box_features(features, boxes))
      decoded = cascade_stage.decode(deltas, boxes, features.image_shape)
      outputs.append((logits[0], deltas[0], decoded[0]))
    logits, deltas, decoded = (np.concatenate(arrays)[self._order] for arrays in zip(*outputs))
    return logits, deltas, decoded

  def _pool(self, layer: Callable[..., tf.Tensor], with_semantic: bool) -> np.ndarray:
    return np.concatenate(
      [
        layer(features if with_semantic else features._replace(semantic=None), boxes)[0]
        for features, boxes in self._parts
      ]
    )[self._order]


def mask_chain(model: HTCModel, roi_features: np.ndarray, stage: int) -> tf.Tensor:
  """Mask feature of a stage [num, 14, 14, channels], with information flow from stage 0 on."""
  feature = None
  for cascade_stage in model.cascade.stages[: stage + 1]:
    feature = cascade_stage.mask_feature(tf.constant(roi_features), feature)
  return feature


def mask_logits(
  model: HTCModel, feature: tf.Tensor, stage: int, classes: Sequence[int]
) -> np.ndarray:
  """Mask logits [num, len(classes), 28, 28] of some classes; 1 is the first foreground class."""
  predict = model.cascade.stages[stage].mask_logits
  return np.stack([predict(feature, np.full([len(feature)], label)) for label in classes], 1)


def _features_of(features: ImageFeatures, image: int) -> ImageFeatures:
  """Features of one image of a batch, without the pooling table, which covers all images."""
  maps = (features.pyramid, features.semantic, features.image_shape)
  return ImageFeatures(*tf.nest.map_structure(lambda x: x[image : image + 1], maps))
