"""Selection of proposals, with a validity mask, from the maps of the region proposal network."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.modeling.outputs import Proposals
from htc_tf.ops import boxes as box_ops
from htc_tf.ops import nms
from htc_tf.ops.kept_boxes import KeptBoxes

_BOX_CODER_WEIGHTS = (1.0, 1.0, 1.0, 1.0)
# Score of candidates that must not be kept: below every sigmoid.
_EXCLUDED = -1.0


class ProposalGenerator(tf_keras.layers.Layer):
  """Selection of proposals: best of each level, NMS within each level, best over all levels.

  In contrast to Model Garden's generator, it keeps a box whose IoU is exactly the NMS threshold and
  marks padding rows.

  Args:
    pre_nms_top_k: number of candidates per level and image in training.
    nms_threshold: maximum IoU of two proposals of a level.
    num_proposals: number of rows returned in training.
    test_pre_nms_top_k: number of candidates per level and image at inference.
    test_num_proposals: number of rows returned at inference.
    min_size: boxes with a side of at most this many pixels are dropped.
    clip_deltas_below: whether dh and dw are also clipped from below.
    **kwargs: arguments of Layer.
  """

  def __init__(
    self,
    pre_nms_top_k: int = 2000,
    nms_threshold: float = 0.7,
    num_proposals: int = 2000,
    test_pre_nms_top_k: int = 1000,
    test_num_proposals: int = 1000,
    min_size: float = 0.0,
    clip_deltas_below: bool = True,
    **kwargs: Any,
  ):
    # Under mixed precision, Keras would cast the anchors to 16 bits: errors of several pixels.
    super().__init__(autocast=False, **kwargs)
    self._pre_nms_top_k = pre_nms_top_k
    self._nms_threshold = nms_threshold
    self._num_proposals = num_proposals
    self._test_pre_nms_top_k = test_pre_nms_top_k
    self._test_num_proposals = test_num_proposals
    self._min_size = min_size
    self._clip_deltas_below = clip_deltas_below

  def call(
    self,
    raw_boxes: Mapping[str, tf.Tensor],
    raw_scores: Mapping[str, tf.Tensor],
    anchor_boxes: Mapping[str, tf.Tensor],
    image_shape: tf.Tensor,
    training: bool | None = None,
  ) -> Proposals:
    """Proposals of a batch; no gradient flows through them.

    Args:
      raw_boxes: level to [batch, height, width, 4 * num_anchors] deltas dy, dx, dh, dw.
      raw_scores: level to [batch, height, width, num_anchors] logits.
      anchor_boxes: level to [height * width * num_anchors, 4] (or with a batch axis in front) yxyx
        in padded-image pixels.
      image_shape: [batch, 2] height and width of each image before padding.
      training: whether the model trains, which selects the numbers of candidates and proposals.

    Returns:
      Proposals with `num_proposals` or `test_num_proposals` rows.
    """
    top_k = self._pre_nms_top_k if training else self._test_pre_nms_top_k
    num_proposals = self._num_proposals if training else self._test_num_proposals
    candidates = [
      self._candidates(raw_boxes[level], raw_scores[level], anchor_boxes[level], image_shape, top_k)
      for level in sorted(raw_scores)
    ]
    boxes, scores = _stack_levels(candidates)
    return _with_validity(
      nms.grouped_nms(boxes, scores, self._nms_threshold, _EXCLUDED, num_proposals)
    )

  def _candidates(
    self,
    deltas: tf.Tensor,
    logits: tf.Tensor,
    anchors: tf.Tensor,
    image_shape: tf.Tensor,
    top_k: int,
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Boxes [batch, num, 4] and scores [batch, num] of the best anchors of one level."""
    batch = tf.shape(logits)[0]
    logits = tf.stop_gradient(tf.cast(tf.reshape(logits, [batch, -1]), tf.float32))
    deltas = tf.stop_gradient(tf.reshape(deltas, [batch, -1, 4]))  # [batch, anchors, 4]
    scores, rows = tf.math.top_k(tf.sigmoid(logits), tf.minimum(top_k, tf.shape(logits)[1]))
    deltas = tf.gather(deltas, rows, batch_dims=1)
    anchors = tf.gather(anchors, rows, batch_dims=1 if anchors.shape.rank == 3 else 0)
    boxes = box_ops.decode(deltas, anchors, _BOX_CODER_WEIGHTS, self._clip_deltas_below)
    boxes = box_ops.clip(boxes, image_shape)
    large = tf.reduce_all(box_ops.box_sizes(boxes) > self._min_size, axis=-1)
    return boxes, tf.where(large, scores, _EXCLUDED)


def _stack_levels(candidates: list[tuple[tf.Tensor, tf.Tensor]]) -> tuple[tf.Tensor, tf.Tensor]:
  """Boxes [batch, num, levels, 4] and scores [batch, num, levels], padded to the longest level."""
  length = tf.reduce_max(tf.stack([tf.shape(scores)[1] for _, scores in candidates]))
  all_boxes, all_scores = [], []
  for boxes, scores in candidates:
    missing = length - tf.shape(scores)[1]
    all_boxes.append(tf.pad(boxes, [[0, 0], [0, missing], [0, 0]]))
    all_scores.append(tf.pad(scores, [[0, 0], [0, missing]], constant_values=_EXCLUDED))
  return tf.stack(all_boxes, axis=2), tf.stack(all_scores, axis=2)


def _with_validity(kept: KeptBoxes) -> Proposals:
  """Proposals whose rows beyond the number of kept boxes are marked as padding."""
  valid = tf.sequence_mask(kept.num_valid, kept.scores.shape[1])  # [batch, num]
  return Proposals(tf.where(valid[..., None], kept.boxes, -1.0), kept.scores, valid)
