"""Region proposal network: anchors, head, selection of proposals and training targets."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import tensorflow as tf
import tf_keras

from htc_tf.modeling.layers.anchor_assigner import AnchorAssigner
from htc_tf.modeling.outputs import AnchorTargets, RPNOutputs

AnchorGenerator: TypeAlias = Callable[
  [Mapping[str, tuple[tf.Tensor, tf.Tensor]]], dict[str, tf.Tensor]
]


class RegionProposalNetwork:
  """Region proposal network (Ren et al. 2015, section 3.1) on a feature pyramid.

  It is not a layer, so that checkpoints contain its head only as the model's attribute `rpn_head`.

  Args:
    head: layer from the pyramid to logits and deltas of every anchor.
    generate_anchors: function from map sizes to anchors, both by level; see `ops.anchors`.
    roi_generator: layer that selects `Proposals` from deltas, logits and anchors.
    anchor_assigner: layer that matches anchors with the ground truth.
  """

  def __init__(
    self,
    head: tf_keras.layers.Layer,
    generate_anchors: AnchorGenerator,
    roi_generator: tf_keras.layers.Layer,
    anchor_assigner: AnchorAssigner,
  ):
    self.head = head
    self.generate_anchors = generate_anchors
    self.roi_generator = roi_generator
    self.anchor_assigner = anchor_assigner

  def propose(
    self, pyramid: Mapping[str, tf.Tensor], image_shape: tf.Tensor, training: bool
  ) -> RPNOutputs:
    """Maps, anchors and proposals of a batch.

    Args:
      pyramid: {'2': [batch, height, width, channels], ...} by level.
      image_shape: [batch, 2] float32 height and width inside the padding.
      training: whether the model trains, which determines the number of proposals.
    """
    logits, deltas = self.head(pyramid, training=training)
    logits = {level: tf.cast(x, tf.float32) for level, x in logits.items()}
    deltas = {level: tf.cast(x, tf.float32) for level, x in deltas.items()}
    shapes = {level: tf.unstack(tf.shape(x)[1:3]) for level, x in logits.items()}
    anchors = self.generate_anchors(shapes)
    proposals = self.roi_generator(deltas, logits, anchors, image_shape, training=training)
    return RPNOutputs(logits, deltas, anchors, proposals)

  def targets(
    self, anchors: tf.Tensor, image_shape: tf.Tensor, gt_boxes: tf.Tensor
  ) -> AnchorTargets:
    """Training targets of the anchors of all levels.

    Args:
      anchors: [num_anchors, 4] yxyx in padded-image pixels.
      image_shape: [batch, 2] float32 height and width inside the padding.
      gt_boxes: [batch, num_gt, 4] yxyx in padded-image pixels; padding rows are all -1.
    """
    return self.anchor_assigner(anchors, image_shape, gt_boxes)
