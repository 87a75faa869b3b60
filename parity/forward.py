"""A model with the reference weights, and its outputs for an input, level by level."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from official.core import exp_factory

from htc_tf.configs import experiments  # noqa: F401  Registers the experiments.
from htc_tf.convert.checkpoint_file import Checkpoint
from htc_tf.convert.conversion import convert_checkpoint
from htc_tf.modeling.cascade import Cascade
from htc_tf.modeling.factory import build_htc
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.outputs import ImageFeatures, Proposals
from parity.detections import Detected


def build_model(
  experiment: str, overrides: Mapping[str, Any], state: Callable[[], Checkpoint]
) -> HTCModel:
  """The model of an experiment, with weights that the converter has read.

  Args:
    experiment: registered name of the experiment.
    overrides: nested overrides of the configuration of the model.
    state: function that returns the weights.
  """
  weights = state()  # First: without them, no model needs to be built.
  task = exp_factory.get_exp_config(experiment).task
  task.model.override(overrides)
  model = build_htc(task.model)
  convert_checkpoint(weights, model)
  return model


class Levels(NamedTuple):
  """Outputs of the model for a batch, up to the cascade.

  Attributes:
    backbone: {'2': [batch, h, w, channels], ...}.
    rpn_logits: {'2': [batch, h, w, anchors], ...}.
    rpn_deltas: {'2': [batch, h, w, 4 * anchors], ...}.
    anchors: {'2': [h * w * anchors, 4], ...} yxyx.
    proposals: proposals of the RPN.
    features: feature pyramid and semantic embedding.
    semantic_logits: [batch, h, w, classes], or None without the semantic branch.
  """

  backbone: dict[str, tf.Tensor]
  rpn_logits: dict[str, tf.Tensor]
  rpn_deltas: dict[str, tf.Tensor]
  anchors: dict[str, tf.Tensor]
  proposals: Proposals
  features: ImageFeatures
  semantic_logits: tf.Tensor | None

  def semantic(self, name: str) -> tf.Tensor:
    """The 'logits' or the 'embedding' of the semantic branch, [batch, h, w, channels]."""
    maps = {'logits': self.semantic_logits, 'embedding': self.features.semantic}[name]
    assert maps is not None, 'The model has no semantic branch.'
    return maps


class Forward:
  """Outputs of a model for an input; input and outputs are computed when first needed.

  Args:
    model: function that returns the model.
    inputs: function that returns images [batch, height, width, 3] and image_shape [batch, 2].
  """

  def __init__(self, model: Callable[[], HTCModel], inputs: Callable[[], dict[str, np.ndarray]]):
    self._model = model
    self._inputs = inputs

  @property
  def model(self) -> HTCModel:
    """The model with the reference weights."""
    return self._model()

  @functools.cached_property
  def inputs(self) -> dict[str, tf.Tensor]:
    """The inputs of the model, `images` and `image_shape`, as described by `HTCModel.call`."""
    return {key: tf.constant(value, tf.float32) for key, value in self._inputs().items()}

  @functools.cached_property
  def levels(self) -> Levels:
    """All maps up to the proposals."""
    model, inputs = self.model, self.inputs
    features, semantic_logits = model.extract(inputs, training=False)
    rpn = model.propose(features, training=False)
    return Levels(
      model.backbone(inputs['images'], training=False),
      rpn.logits,
      rpn.deltas,
      rpn.anchors,
      rpn.proposals,
      features,
      semantic_logits,
    )

  @functools.cached_property
  def _detections(self) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in self.model.detect(self.inputs).to_dict().items()}

  @functools.cached_property
  def _last_masks(self) -> np.ndarray:
    """Masks that the last stage alone predicts for the detections, [batch, num, size, size]."""
    cascade, found = self.model.cascade, self._detections
    last = Cascade(
      cascade.stages, cascade.box_features, cascade.mask_features, mask_ensemble='last'
    )
    return last.segment(
      self.levels.features,
      tf.constant(found['detection_boxes']),
      tf.constant(found['detection_classes']),
    ).numpy()

  def detected(self, image: int, mask_ensemble: str = 'mean') -> Detected:
    """Detections of one image.

    Args:
      image: index of the image in the batch.
      mask_ensemble: 'mean' for masks averaged over the stages, 'last' for those of the last stage.
    """
    found = self._detections
    rows = slice(found['num_detections'][image])
    masks = found['detection_masks'] if mask_ensemble == 'mean' else self._last_masks
    boxes, scores, classes = (
      found[f'detection_{key}'][image][rows] for key in ('boxes', 'scores', 'classes')
    )
    return Detected(boxes, scores, classes, masks[image][rows])
