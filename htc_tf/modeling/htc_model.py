"""The model: backbone, decoder, region proposal network, semantic branch and cascade."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from htc_tf.errors import ConfigError, InputError
from htc_tf.modeling import precision
from htc_tf.modeling.backward_turns import delay_backward
from htc_tf.modeling.cascade import Cascade
from htc_tf.modeling.detection import DetectionGenerator
from htc_tf.modeling.heads.global_context_head import GlobalContextHead
from htc_tf.modeling.keras_files import WithoutKerasFiles
from htc_tf.modeling.outputs import (
  ContextOutputs,
  Detections,
  GroundTruth,
  ImageFeatures,
  Proposals,
  RPNOutputs,
  TrainingOutputs,
)
from htc_tf.modeling.part_interfaces import CompositeBackbone, ImageReadingDecoder
from htc_tf.modeling.region_proposal_network import RegionProposalNetwork
from htc_tf.ops.without_autograph import without_autograph


class HTCModel(WithoutKerasFiles):
  """Hybrid Task Cascade (Chen et al. 2019).

  Args:
    backbone: model from images to {level: feature map}; a `CompositeBackbone` also trains the
      other parts on the features of its assisting backbone.
    decoder: layer from the feature maps to the feature pyramid; an `ImageReadingDecoder` also
      gets the images; None if the backbone outputs the pyramid.
    rpn: region proposal network.
    cascade: stages of the cascade.
    detection_generator: layer from mean class logits and boxes to detections.
    semantic_head: layer from the pyramid to semantic logits and embedding; None without the branch.
    size_divisor: divisor of the height and width of padded images.
    static_hw: height and width of every padded image; None if images of other sizes are possible.
    **kwargs: arguments of Model.

  Attributes:
    size_divisor: as above.
    static_hw: as above.
    context_head: layer from the pyramid to a feature of the image; None without the branch. It is
      set before `create_variables`.
    num_channels: number of channels of the images, for which `create_variables` made the variables.
  """

  def __init__(
    self,
    backbone: tf_keras.Model,
    decoder: tf_keras.layers.Layer | None,
    rpn: RegionProposalNetwork,
    cascade: Cascade,
    detection_generator: DetectionGenerator,
    semantic_head: tf_keras.layers.Layer | None = None,
    size_divisor: int = 32,
    static_hw: tuple[int, int] | None = None,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self.size_divisor = size_divisor
    self.static_hw = static_hw
    self.num_channels = 3
    self._autocast = False  # Under mixed precision, Keras would cast boxes to 16 bits.
    self.backbone = backbone
    self.decoder = decoder
    self.rpn = rpn
    self.rpn_head = rpn.head
    self.cascade = cascade
    self.detection_generator = detection_generator
    self.semantic_head = semantic_head
    self.context_head: GlobalContextHead | None = None

  @without_autograph
  def call(
    self, inputs: Mapping[str, tf.Tensor], training: bool | None = None
  ) -> TrainingOutputs | Detections:
    """Outputs of `train` if `training` is true, else outputs of `detect`.

    Args:
      inputs: `images` [batch, height, width, channels], normalized and padded; `image_shape`
        [batch, 2] float32 height and width inside the padding. In training also `gt_boxes`,
        `gt_classes` and, with masks, `gt_masks`, as described by `GroundTruth`.
      training: whether the model trains.

    Raises:
      InputError: an input is missing.
    """
    return self.train(inputs) if training else self.detect(inputs)

  @without_autograph
  def train(self, inputs: Mapping[str, tf.Tensor]) -> TrainingOutputs:
    """Everything that the losses need; inputs and errors as for `call`."""
    masks = {'gt_masks'} if self.cascade.has_masks else set()
    _check_inputs(inputs, {'images', 'image_shape', 'gt_boxes', 'gt_classes'} | masks)
    if not isinstance(self.backbone, CompositeBackbone):
      return self._train_on(self.backbone(inputs['images'], training=True), inputs)[0]
    # The heads and the decoder train on both backbones (CBNetV2, section 3.3). In the paper's code,
    # both train the stages on the proposals of the lead one.
    assisting, lead = self.backbone.maps_of_both(inputs['images'], training=True)
    outputs, proposals = self._train_on(lead, inputs)
    return outputs._replace(assistant=self._train_on(assisting, inputs, proposals)[0])

  def _train_on(
    self,
    maps: Mapping[str, tf.Tensor],
    inputs: Mapping[str, tf.Tensor],
    proposals: Proposals | None = None,
  ) -> tuple[TrainingOutputs, Proposals]:
    """Outputs of all parts behind the backbone, and the proposals that the stages trained on.

    Args:
      maps: outputs of the backbone.
      inputs: as for `call`.
      proposals: proposals for the stages; None for those of the RPN on these maps.
    """
    ground_truth = GroundTruth(inputs['gt_boxes'], inputs['gt_classes'], inputs.get('gt_masks'))
    features, semantic_logits = self._features_of(maps, inputs, training=True)
    features = features.with_pooling_table()
    rpn = self.propose(features, training=True)
    anchors = tf.concat([rpn.anchors[level] for level in sorted(rpn.anchors)], 0)
    targets = self.rpn.targets(anchors, features.image_shape, ground_truth.boxes)
    (logits, deltas, semantic_logits), features = delay_backward(
      (rpn.logits, rpn.deltas, semantic_logits), features
    )
    proposals = proposals or rpn.proposals
    stages = self.cascade.train(features, proposals, ground_truth)
    context = None
    if self.context_head is not None:
      context = ContextOutputs(self.context_head.classify(features.context), ground_truth.classes)
    outputs = TrainingOutputs(
      anchors,
      _flatten(logits, 1)[..., 0],
      _flatten(deltas, 4),
      targets,
      semantic_logits,
      stages,
      context,
    )
    return outputs, proposals

  @without_autograph
  def detect(self, inputs: Mapping[str, tf.Tensor]) -> Detections:
    """Detections of a batch, in padded-image pixels; inputs and errors as for `call`."""
    _check_inputs(inputs, {'images', 'image_shape'})
    features, _ = self.extract(inputs, training=False)
    proposals = self.propose(features, training=False).proposals
    # Build the pooling table after the RPN, so that the RPN's maps can be freed.
    with tf.control_dependencies([proposals.boxes]):
      features = features.with_pooling_table()
    logits, boxes = self.cascade.classify(features, proposals)
    detections = self.detection_generator(logits, boxes, proposals.valid)
    if not self.cascade.has_masks:
      return detections
    masks = self.cascade.segment(features, detections.boxes, detections.classes)
    found = tf.sequence_mask(detections.num_detections, tf.shape(masks)[1])
    return detections._replace(masks=tf.where(found[..., tf.newaxis, tf.newaxis], masks, 0.0))

  @without_autograph
  def extract(
    self, inputs: Mapping[str, tf.Tensor], training: bool
  ) -> tuple[ImageFeatures, tf.Tensor | None]:
    """Features of a batch, and the semantic logits or None without the branch.

    Args:
      inputs: `images` and `image_shape` as for `call`.
      training: whether the model trains.
    """
    return self._features_of(self.backbone(inputs['images'], training=training), inputs, training)

  def _features_of(
    self, maps: Mapping[str, tf.Tensor], inputs: Mapping[str, tf.Tensor], training: bool
  ) -> tuple[ImageFeatures, tf.Tensor | None]:
    """Results of `extract` from the maps of the backbone."""
    pyramid = maps
    if isinstance(self.decoder, ImageReadingDecoder):
      pyramid = self.decoder(maps, inputs['images'], training=training)
    elif self.decoder is not None:
      pyramid = self.decoder(maps, training=training)
    semantic_logits = embedding = None
    if self.semantic_head is not None:
      semantic_logits, embedding = self.semantic_head(pyramid, training=training)
    image_shape = tf.cast(inputs['image_shape'], tf.float32)
    context = None if self.context_head is None else self.context_head(pyramid)
    return ImageFeatures(pyramid, embedding, image_shape, context=context), semantic_logits

  @without_autograph
  def propose(self, features: ImageFeatures, training: bool) -> RPNOutputs:
    """Proposals of the RPN, with its maps and anchors.

    Args:
      features: features of the batch.
      training: whether the model trains.
    """
    # Run the RPN after the semantic branch, so that their maps are not in memory together.
    with tf.control_dependencies([] if features.semantic is None else [features.semantic]):
      return self.rpn.propose(features.pyramid, features.image_shape, training)

  def create_variables(self, height: int, width: int, num_channels: int = 3) -> None:
    """Create every variable by running the parts on an image of zeros, and the heads on one RoI.

    Args:
      height: height of the image; a multiple of the configuration's `size_divisor`.
      width: width of the image; a multiple of `size_divisor`.
      num_channels: number of channels of the image.

    Raises:
      ConfigError: the features do not have the sizes that their levels stand for.
    """
    self.num_channels = num_channels
    images = tf.zeros([1, height, width, num_channels])
    inputs = {'images': images, 'image_shape': [[height, width]]}
    features, _ = self.extract(inputs, training=False)
    _check_pyramid(features.pyramid, height, width)
    with precision.of_boxes():  # Model Garden's head makes its layers when it is called.
      self.rpn_head(features.pyramid)
    self.cascade.create_variables(features.pyramid)
    self.built = True

  @property
  def checkpoint_items(self) -> dict[str, tf_keras.layers.Layer]:
    """Parts that checkpoints also store by name, so that other models can start from them."""
    items = {'backbone': self.backbone}
    if self.decoder is not None:
      items['decoder'] = self.decoder
    return items


def _flatten(maps: Mapping[str, tf.Tensor], size: int) -> tf.Tensor:
  """{level: [batch, height, width, anchors * size]} to [batch, num_anchors, size], by level."""
  batch = tf.shape(next(iter(maps.values())))[0]
  return tf.concat([tf.reshape(maps[level], [batch, -1, size]) for level in sorted(maps)], 1)


def _check_pyramid(pyramid: Mapping[str, tf.Tensor], height: int, width: int) -> None:
  """Raise ConfigError unless the maps of each level l have the stride 2^l, rounded up or down."""
  found = {level: tuple(maps.shape[1:3]) for level, maps in pyramid.items()}
  expected = {
    level: (-(-height // 2 ** int(level)), -(-width // 2 ** int(level))) for level in pyramid
  }
  rounded_down = {
    level: (max(height // 2 ** int(level), 1), max(width // 2 ** int(level), 1))
    for level in pyramid
  }
  if not all(
    side in sides
    for level in pyramid
    for side, *sides in zip(found[level], expected[level], rounded_down[level])
  ):
    raise ConfigError(
      'The feature maps have other sizes than their levels',
      expected=f'{expected} for an image of {height}x{width}',
      got=str(found),
      likely_cause='a backbone or decoder with other strides',
    )


def _check_inputs(inputs: Mapping[str, tf.Tensor], needed: set[str]) -> None:
  missing = needed - set(inputs)
  if missing:
    raise InputError(
      'HTCModel lacks an input',
      expected=f'inputs {sorted(needed)}',
      got=f'no {sorted(missing)}',
      likely_cause='a batch parsed without masks, or training=True on images without ground truth',
    )
