"""Configuration of the HTC model, part by part; the defaults are the published HTC R50-FPN."""

import dataclasses

from official.modeling import hyperparams
from official.vision.configs import backbones, common, decoders, maskrcnn


def _part(config_class, **values):
  """A dataclass field holding a nested configuration of its own."""
  return dataclasses.field(default_factory=lambda: config_class(**values))


def _list(*values):
  return dataclasses.field(default_factory=lambda: list(values))


@dataclasses.dataclass
class PublishedResNet(hyperparams.Config):
  """ResNet and ResNeXt in the layout of the published checkpoints.

  Attributes:
    model_id: depth, one of 18, 34, 50, 101.
    frozen_stages: what is not trained: 0 the stem, 1 the stem and the first residual stage, ...,
      4 everything; -1 nothing.
    norm_eval: batch norm uses its running statistics in training too; its affine is trained.
    width_multiplier: factor on every channel count, for small models; 1 as published.
    groups: groups of the 3x3 convolutions of depths 50 and 101: 32 or 64 in ResNeXt.
    base_width: channels of each group in the first residual stage: 4 in ResNeXt.
    deformable_stages: residual stages, 1 to 4, whose 3x3 convolutions are deformable; [2, 3, 4] in
      the published model with deformable convolutions.
    recompute: training keeps the outputs of residual blocks alone and computes what is inside them
      again for the backward pass: less memory, more time, the same gradients. Needs norm_eval.
  """

  model_id: int = 50
  frozen_stages: int = 1
  norm_eval: bool = True
  width_multiplier: float = 1.0
  groups: int = 1
  base_width: int = 64
  deformable_stages: list[int] = _list()
  recompute: bool = False


@dataclasses.dataclass
class Backbone(backbones.Backbone):
  """Model Garden's backbones and the published layout; `type` selects one by field name."""

  type: str | None = 'published_resnet'
  published_resnet: PublishedResNet = _part(PublishedResNet)


@dataclasses.dataclass
class PublishedFPN(hyperparams.Config):
  """FPN with biased convolutions, no norm, and the coarsest level a subsampling."""

  num_filters: int = 256


@dataclasses.dataclass
class Decoder(decoders.Decoder):
  """Model Garden's decoders and the published layout; `type` selects one by field name."""

  type: str | None = 'published_fpn'
  published_fpn: PublishedFPN = _part(PublishedFPN)


@dataclasses.dataclass
class Anchor(hyperparams.Config):
  """Anchors of one size per level.

  Attributes:
    scale: side of a square anchor in strides of its level.
    aspect_ratios: height / width.
    center_offset: centre of the first anchor in strides: 0 published, 0.5 Model Garden.
  """

  scale: float = 8.0
  aspect_ratios: list[float] = _list(0.5, 1.0, 2.0)
  center_offset: float = 0.0


@dataclasses.dataclass
class PublishedRPNHead(hyperparams.Config):
  """One 3x3 convolution shared by the levels, without norm."""

  num_filters: int = 256


@dataclasses.dataclass
class RPNHead(hyperparams.OneOfConfig):
  """Which RPN head: the published one or Model Garden's."""

  type: str | None = 'published'
  published: PublishedRPNHead = _part(PublishedRPNHead)
  model_garden: maskrcnn.RPNHead = _part(maskrcnn.RPNHead)


@dataclasses.dataclass
class RPNSampler(hyperparams.Config):
  """Which anchors the RPN trains on.

  Attributes:
    positive_threshold: IoU from which an anchor is positive.
    negative_threshold: IoU below which it is negative.
    min_positive_threshold: least IoU at which a truth claims its best anchors anyway.
    num_samples: sampled anchors an image.
    positive_fraction: largest share of positives among them.
  """

  positive_threshold: float = 0.7
  negative_threshold: float = 0.3
  min_positive_threshold: float = 0.3
  num_samples: int = 256
  positive_fraction: float = 0.5


@dataclasses.dataclass
class PublishedRoIGenerator(hyperparams.Config):
  """Proposals as published: top-k a level, NMS a level with `>`, best of all levels.

  Attributes:
    pre_nms_top_k: anchors a level that enter NMS in training; `test_` prefix: at inference.
    num_proposals: proposals an image in training; `test_` prefix: at inference.
    nms_threshold: IoU above which NMS suppresses.
    min_size: proposals whose width or height is not above it are dropped, in pixels.
    clip_deltas_below: also bound dh, dw from below, as mmdetection does.
  """

  pre_nms_top_k: int = 2000
  num_proposals: int = 2000
  test_pre_nms_top_k: int = 1000
  test_num_proposals: int = 1000
  nms_threshold: float = 0.7
  min_size: float = 0.0
  clip_deltas_below: bool = True


@dataclasses.dataclass
class RoIGenerator(hyperparams.OneOfConfig):
  """Which proposal generator: the published one or Model Garden's."""

  type: str | None = 'published'
  published: PublishedRoIGenerator = _part(PublishedRoIGenerator)
  model_garden: maskrcnn.ROIGenerator = _part(maskrcnn.ROIGenerator)


@dataclasses.dataclass
class PublishedRoIAligner(hyperparams.Config):
  """Exact RoIAlign; the crop size belongs to the head that uses it.

  Attributes:
    finest_scale: square RoIs below twice this side, in pixels, belong to `min_level`.
    min_level: finest pyramid level RoIs are pooled from.
    max_level: coarsest such level.
    level_rule: 'mmdet' or 'paddle': where the rounding constant of the level rule is added.
  """

  finest_scale: float = 56.0
  min_level: int = 2
  max_level: int = 5
  level_rule: str = 'mmdet'


@dataclasses.dataclass
class ModelGardenRoIAligner(hyperparams.Config):
  """Model Garden's aligner: one bilinear sample a bin, levels by box size."""

  sample_offset: float = 0.5


@dataclasses.dataclass
class RoIAligner(hyperparams.OneOfConfig):
  """Which RoI aligner: the exact one or Model Garden's."""

  type: str | None = 'published'
  published: PublishedRoIAligner = _part(PublishedRoIAligner)
  model_garden: ModelGardenRoIAligner = _part(ModelGardenRoIAligner)


@dataclasses.dataclass
class Stage(hyperparams.Config):
  """One stage of the cascade.

  Attributes:
    iou_threshold: IoU from which an RoI is positive; below it is background.
    box_coder_weights: factors on dy, dx, dh, dw (the reciprocal standard deviations).
    loss_weight: factor on the stage's class, box and mask losses.
  """

  iou_threshold: float = 0.5
  box_coder_weights: list[float] = _list(10.0, 10.0, 5.0, 5.0)
  loss_weight: float = 1.0


def published_stages() -> list[Stage]:
  """The three stages of HTC (paper section 4.2: IoU 0.5, 0.6, 0.7; weights 1, 0.5, 0.25)."""
  return [
    Stage(iou_threshold=0.5, box_coder_weights=[10.0, 10.0, 5.0, 5.0], loss_weight=1.0),
    Stage(iou_threshold=0.6, box_coder_weights=[20.0, 20.0, 10.0, 10.0], loss_weight=0.5),
    Stage(
      iou_threshold=0.7,
      box_coder_weights=[1 / 0.033, 1 / 0.033, 1 / 0.067, 1 / 0.067],
      loss_weight=0.25,
    ),
  ]


@dataclasses.dataclass
class Cascade(hyperparams.Config):
  """The cascade: its stages and how box and mask branches are joined.

  Attributes:
    stages: one to five stages; their number is the length of the list.
    interleaved: the mask branch of a stage trains on boxes refined by its box branch (section 3.1).
    mask_information_flow: mask features flow from stage to stage (section 3.1, equation 4).
    num_sampled_rois: RoIs an image each branch trains on.
    positive_fraction: largest share of positives among them.
    match_low_quality: a truth claims its best boxes even from another truth, as published HTC.
    sampling_rule: 'random', or 'even' for reproducible comparisons.
    recompute_masks: training computes the activations inside the mask heads a second time instead
      of keeping them: less memory, more time, the same gradients.
  """

  stages: list[Stage] = dataclasses.field(default_factory=published_stages)
  interleaved: bool = True
  mask_information_flow: bool = True
  num_sampled_rois: int = 512
  positive_fraction: float = 0.25
  match_low_quality: bool = True
  sampling_rule: str = 'random'
  recompute_masks: bool = False


@dataclasses.dataclass
class BoxHead(hyperparams.Config):
  """Fully connected class-agnostic box head."""

  crop_size: int = 7
  num_fcs: int = 2
  fc_dims: int = 1024


@dataclasses.dataclass
class MaskHead(hyperparams.Config):
  """Convolutional mask head; its mask has twice the side of `crop_size`."""

  crop_size: int = 14
  num_convs: int = 4
  num_filters: int = 256


@dataclasses.dataclass
class SemanticHead(hyperparams.Config):
  """Fused semantic segmentation branch (paper section 3.2, figure 3).

  Attributes:
    enabled: whether the model has the branch.
    num_classes: classes of the semantic map, background included; 183 for COCO-stuff.
    level: pyramid level all others are resized to.
    num_convs: 3x3 convolutions after the fusion.
    num_filters: channels; must equal the decoder's, as its RoI feature is added to the decoder's.
    crop_size: side of the semantic RoI feature; averaged down to a head's crop size.
    feeds_box: its RoI feature is added to the box branch's.
    feeds_mask: its RoI feature is added to the mask branch's.
  """

  enabled: bool = True
  num_classes: int = 183
  level: int = 3
  num_convs: int = 4
  num_filters: int = 256
  crop_size: int = 14
  feeds_box: bool = True
  feeds_mask: bool = True


@dataclasses.dataclass
class DetectionGenerator(hyperparams.Config):
  """From the ensemble's scores to detections.

  Attributes:
    score_threshold: scores not above it are dropped.
    nms_threshold: IoU above which NMS suppresses within a class.
    max_detections: most detections an image.
    mask_ensemble: 'mean' of the stages' mask probabilities (the published results), or 'last'.
  """

  score_threshold: float = 0.001
  nms_threshold: float = 0.5
  max_detections: int = 100
  mask_ensemble: str = 'mean'


@dataclasses.dataclass
class HTC(hyperparams.Config):
  """The whole model.

  Attributes:
    num_classes: classes of the instances, background included; 81 for COCO.
    input_size: largest height and width of the network input, and channels. An image that
      resizing would make larger is shrunk to fit; `parser.frames` of the data say what an image is
      padded to. Parts of Model Garden read static shapes: with them every input is of this size.
      The sides are multiples of 32 (there, of 2^max_level if that is larger).
    min_level: finest decoder level.
    max_level: coarsest decoder level.
    include_mask: False builds the box-only cascade.
  """

  num_classes: int = 81
  input_size: list[int] = _list(1344, 1344, 3)
  min_level: int = 2
  max_level: int = 6
  include_mask: bool = True
  backbone: Backbone = _part(Backbone)
  decoder: Decoder = _part(Decoder)
  norm_activation: common.NormActivation = _part(
    common.NormActivation, norm_momentum=0.9, norm_epsilon=1e-5, use_sync_bn=False
  )
  anchor: Anchor = _part(Anchor)
  rpn_head: RPNHead = _part(RPNHead)
  rpn_sampler: RPNSampler = _part(RPNSampler)
  roi_generator: RoIGenerator = _part(RoIGenerator)
  roi_aligner: RoIAligner = _part(RoIAligner)
  cascade: Cascade = _part(Cascade)
  box_head: BoxHead = _part(BoxHead)
  mask_head: MaskHead = _part(MaskHead)
  semantic_head: SemanticHead = _part(SemanticHead)
  detection_generator: DetectionGenerator = _part(DetectionGenerator)

  @property
  def uses_static_size(self) -> bool:
    """Whether every network input has `input_size`, because a part reads static shapes."""
    return 'model_garden' in (self.roi_generator.type, self.roi_aligner.type)

  @property
  def size_divisor(self) -> int:
    """Number that the sides of a padded image are multiples of."""
    return 32 if self.decoder.type == 'published_fpn' else max(32, 2**self.max_level)
