"""The model: backbone, pyramid, RPN, semantic branch and cascade, wired."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.errors import InputError
from htc_tf.modeling.cascade import Cascade
from htc_tf.modeling.detection import DetectionGenerator
from htc_tf.modeling.layers.stage_assigner import AnchorAssigner
from htc_tf.modeling.outputs import (
  GroundTruth,
  ImageFeatures,
  Proposals,
  TrainingOutputs,
  features_in_turn,
)
from htc_tf.ops import anchors as anchor_ops


class HTCModel(tf_keras.Model):
  """Hybrid Task Cascade (Chen et al. 2019).

  Args:
    backbone: images to {level: feature map}.
    decoder: those to the pyramid; None when the backbone gives it.
    rpn_head: pyramid to logits and deltas of anchors.
    roi_generator: those to `Proposals`.
    anchor_assigner: anchors and truths to the RPN's targets.
    anchor_args: arguments of `ops.anchors.generate_anchors` besides the feature shapes.
    cascade: the stages.
    detection_generator: mean logits and boxes to detections.
    semantic_head: pyramid to semantic logits and embedding; None without the branch.
    **kwargs: passed to Model.
  """

  def __init__(
    self,
    backbone: tf_keras.Model,
    decoder: tf_keras.layers.Layer | None,
    rpn_head: tf_keras.layers.Layer,
    roi_generator: tf_keras.layers.Layer,
    anchor_assigner: AnchorAssigner,
    anchor_args: Mapping[str, Any],
    cascade: Cascade,
    detection_generator: DetectionGenerator,
    semantic_head: tf_keras.layers.Layer | None = None,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._autocast = False  # Keras would round boxes to the compute type.
    self.backbone = backbone
    self.decoder = decoder
    self.rpn_head = rpn_head
    self.roi_generator = roi_generator
    self.anchor_assigner = anchor_assigner
    self.cascade = cascade
    self.detection_generator = detection_generator
    self.semantic_head = semantic_head
    self._anchor_args = dict(anchor_args)

  def call(
    self, inputs: Mapping[str, tf.Tensor], training: bool | None = None
  ) -> TrainingOutputs | dict[str, tf.Tensor]:
    """Training outputs with `training`, else detections.

    Args:
      inputs: `images` [batch, height, width, 3] normalised and padded; `image_shape` [batch, 2]
        float32 height, width inside the padding. In training also `gt_boxes`, `gt_classes` and,
        with masks, `gt_masks`, as `GroundTruth` has them.
      training: whether to run the training graph.

    Returns:
      `TrainingOutputs`, or the dict of `detect`.

    Raises:
      InputError: for a missing input.
    """
    self._check(inputs, training)
    return self.train(inputs) if training else self.detect(inputs)

  def create_variables(self, height: int, width: int) -> None:
    """Creates every variable: each part runs once on an image of zeros, the heads on one RoI.

    Args:
      height: of the image; a multiple of what the backbone asks for.
      width: likewise.
    """
    inputs = {'images': tf.zeros([1, height, width, 3]), 'image_shape': [[height, width]]}
    features, _ = self._extract(inputs, training=False)
    self.rpn_head(features.pyramid)
    whole = Proposals(
      tf.constant([[[0.0, 0.0, height, width]]]), tf.ones([1, 1]), tf.constant([[True]])
    )
    self.cascade.classify(features, whole)
    if self.cascade.mask_features is not None:
      self.cascade.segment(features, whole.boxes, tf.ones([1, 1], tf.int32))
    self.built = True

  def train(self, inputs: Mapping[str, tf.Tensor]) -> TrainingOutputs:
    """What the losses need; inputs as for `call`."""
    features, semantic_logits = self._extract(inputs, training=True)
    features = features.with_table()
    truth = GroundTruth(inputs['gt_boxes'], inputs['gt_classes'], inputs.get('gt_masks'))
    logits, deltas, anchors, proposals = self._propose(features, training=True)
    all_anchors = tf.concat([anchors[level] for level in sorted(anchors)], 0)
    targets = self.anchor_assigner(all_anchors, features.image_shape, truth.boxes)
    (logits, deltas, semantic_logits), features = features_in_turn(
      (logits, deltas, semantic_logits), features
    )
    stages = self.cascade.train(features, proposals, truth)
    return TrainingOutputs(
      all_anchors,
      self._flat(logits, 1)[..., 0],
      self._flat(deltas, 4),
      targets,
      semantic_logits,
      stages,
    )

  def detect(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Detections of a batch, best first.

    Args:
      inputs: `images` and `image_shape` as for `call`.

    Returns:
      detection_boxes [batch, max_detections, 4] yxyx in padded-image pixels, detection_scores
      [batch, max_detections], detection_classes int32 likewise, num_detections [batch] int32 and,
      with masks, detection_masks [batch, max_detections, size, size] probabilities. Rows from
      num_detections on are zero.
    """
    features, _ = self._extract(inputs, training=False)
    *_, proposals = self._propose(features, training=False)
    with tf.control_dependencies([proposals.boxes]):  # Maps and table are not held at once.
      features = features.with_table()
    logits, boxes = self.cascade.classify(features, proposals)
    found = self.detection_generator(logits, boxes, proposals.valid)
    outputs = {
      'detection_boxes': found.boxes,
      'detection_scores': found.scores,
      'detection_classes': found.classes,
      'num_detections': found.num_detections,
    }
    if self.cascade.mask_features is not None:
      masks = self.cascade.segment(features, found.boxes, found.classes)
      rows = tf.range(tf.shape(masks)[1]) < found.num_detections[:, tf.newaxis]
      outputs['detection_masks'] = tf.where(rows[..., tf.newaxis, tf.newaxis], masks, 0.0)
    return outputs

  def _extract(self, inputs, training: bool):
    """Image features and the semantic logits (None without the branch)."""
    pyramid = self.backbone(inputs['images'], training=training)
    if self.decoder is not None:
      pyramid = self.decoder(pyramid, training=training)
    semantic_logits = embedding = None
    if self.semantic_head is not None:
      semantic_logits, embedding = self.semantic_head(pyramid, training=training)
    image_shape = tf.cast(inputs['image_shape'], tf.float32)
    return ImageFeatures(pyramid, embedding, image_shape), semantic_logits

  def _propose(self, features: ImageFeatures, training: bool):
    # The semantic branch first: the two would hold their maps at the same time.
    with tf.control_dependencies([] if features.semantic is None else [features.semantic]):
      logits, deltas = self.rpn_head(features.pyramid, training=training)
    logits = {level: tf.cast(x, tf.float32) for level, x in logits.items()}
    deltas = {level: tf.cast(x, tf.float32) for level, x in deltas.items()}
    shapes = {level: tf.unstack(tf.shape(x)[1:3]) for level, x in logits.items()}
    anchors = anchor_ops.generate_anchors(shapes, **self._anchor_args)
    proposals = self.roi_generator(deltas, logits, anchors, features.image_shape, training=training)
    return logits, deltas, anchors, proposals

  def _flat(self, maps: Mapping[str, tf.Tensor], size: int) -> tf.Tensor:
    """{level: [batch, h, w, A * size]} to [batch, num_anchors, size], level by level."""
    batch = tf.shape(next(iter(maps.values())))[0]
    return tf.concat([tf.reshape(maps[level], [batch, -1, size]) for level in sorted(maps)], 1)

  def _check(self, inputs, training):
    needed = {'images', 'image_shape'}
    if training:
      needed |= {'gt_boxes', 'gt_classes'}
      needed |= {'gt_masks'} if self.cascade.mask_features is not None else set()
    missing = needed - set(inputs)
    if missing:
      raise InputError(
        'HTCModel cannot run',
        expected=f'inputs {sorted(needed)}',
        got=f'no {sorted(missing)}',
        likely_cause='a batch parsed without masks, or training=True on bare images',
      )

  @property
  def checkpoint_items(self) -> dict[str, tf_keras.layers.Layer]:
    """Parts that a checkpoint names, so that others can start from one of them."""
    items = {'backbone': self.backbone}
    if self.decoder is not None:
      items['decoder'] = self.decoder
    return items
