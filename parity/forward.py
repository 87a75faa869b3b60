"""A model with reference weights, and what it makes of an input, level by level."""

import functools
from collections.abc import Callable
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
  experiment: str, overrides: dict[str, Any], state: Callable[[], Checkpoint]
) -> HTCModel:
  """The model of an experiment, filled by the converter.

  Args:
    experiment: registered name.
    overrides: nested dict of the model's configuration.
    state: gives the weights.
  """
  task = exp_factory.get_exp_config(experiment).task
  task.model.override(overrides)
  model = build_htc(task.model)
  convert_checkpoint(state(), model)
  return model


class Levels(NamedTuple):
  """What the model makes of a batch, before the cascade.

  Attributes:
    backbone: {'2': [batch, h, w, channels], ...}.
    rpn_logits: {'2': [batch, h, w, anchors], ...}.
    rpn_deltas: {'2': [batch, h, w, 4 anchors], ...}.
    anchors: {'2': [h * w * anchors, 4], ...} yxyx.
    proposals: of the batch.
    features: pyramid and semantic embedding.
    semantic_logits: [batch, h, w, classes], or None.
  """

  backbone: dict[str, tf.Tensor]
  rpn_logits: dict[str, tf.Tensor]
  rpn_deltas: dict[str, tf.Tensor]
  anchors: dict[str, tf.Tensor]
  proposals: Proposals
  features: ImageFeatures
  semantic_logits: tf.Tensor


class Forward:
  """A model and an input, run when first asked.

  Args:
    model: gives the model.
    inputs: gives images [batch, height, width, 3] and image_shape [batch, 2].
  """

  def __init__(self, model: Callable[[], HTCModel], inputs: Callable[[], dict[str, np.ndarray]]):
    self._model = model
    self._inputs = inputs

  @property
  def model(self) -> HTCModel:
    """With the reference weights."""
    return self._model()

  @functools.cached_property
  def inputs(self) -> dict[str, tf.Tensor]:
    """The model's input dict: `images` and `image_shape`, as `HTCModel.call` has them."""
    return {key: tf.constant(value, tf.float32) for key, value in self._inputs().items()}

  @functools.cached_property
  def levels(self) -> Levels:
    """Every map up to the proposals."""
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
    """Masks of the detections by the last stage alone, [batch, num, size, size]."""
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
    """Detections of one image, with masks of the stages' 'mean' or of the 'last' stage."""
    found = self._detections
    rows = slice(found['num_detections'][image])
    masks = found['detection_masks'] if mask_ensemble == 'mean' else self._last_masks
    return Detected(
      *(found[f'detection_{key}'][image][rows] for key in ('boxes', 'scores', 'classes')),
      masks[image][rows],
    )
