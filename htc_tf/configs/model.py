"""Configuration of the HTC model, part by part; the defaults are the published HTC R50-FPN."""

import dataclasses
from typing import Annotated

from official.modeling import hyperparams
from official.vision.configs import common

from htc_tf.configs.bounds import (
  Count,
  Fraction,
  NonNegativeFloat,
  OneOf,
  OpenFraction,
  PositiveFloat,
  PositiveInt,
  Weight,
)
from htc_tf.configs.config_fields import listed, part
from htc_tf.configs.features import (
  Anchor,
  Backbone,
  Decoder,
  Level,
  RoIAligner,
  RoIGenerator,
  RPNHead,
  RPNSampler,
)
from htc_tf.data.preprocess import PUBLISHED, Normalization
from htc_tf.data.sample_format import DEPTHS, SampleFormat


@dataclasses.dataclass
class Stage(hyperparams.Config):
  """One stage of the cascade.

  Attributes:
    iou_threshold: smallest IoU of a positive RoI; RoIs below it are background.
    box_coder_weights: factors on dy, dx, dh, dw: the reciprocals of their standard deviations.
    loss_weight: factor on the class, box and mask loss of the stage.
  """

  iou_threshold: OpenFraction = 0.5
  box_coder_weights: list[PositiveFloat] = listed(10.0, 10.0, 5.0, 5.0)
  loss_weight: Weight = 1.0


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
  """The stages of the cascade, and the connections of box and mask branches.

  Attributes:
    stages: one to five stages.
    interleaved: whether the mask branch of a stage is trained on the boxes that the box branch of
      the same stage refined (section 3.1).
    mask_information_flow: whether mask features flow from stage to stage (section 3.1, equation 4).
    num_sampled_rois: number of RoIs per image that each branch is trained on.
    positive_fraction: largest share of positives among the sampled RoIs.
    match_low_quality: whether there are low-quality matches, as in the paper's code: the best boxes
      of a ground-truth box are assigned to it even if they overlap another ground-truth box more.
    sampling_rule: 'random', or 'even' for reproducible comparisons.
    shared_mask: whether the stages share one mask branch, which trains on the RoIs of the last box
      branch (SCNet); needs interleaved=false and mask_information_flow=false.
    feature_relay: whether a feature of the last box head is added to the RoI features of the shared
      mask branch.
    recompute_masks: whether training recomputes the activations of the mask heads instead of
      keeping them: less memory, more time, the same gradients.
  """

  stages: list[Stage] = dataclasses.field(default_factory=published_stages)
  interleaved: bool = True
  mask_information_flow: bool = True
  num_sampled_rois: PositiveInt = 512
  positive_fraction: Fraction = 0.25
  match_low_quality: bool = True
  sampling_rule: Annotated[str, OneOf(('random', 'even'))] = 'random'
  shared_mask: bool = False
  feature_relay: bool = False
  recompute_masks: bool = False


@dataclasses.dataclass
class BoxHead(hyperparams.Config):
  """Fully connected box head.

  Attributes:
    crop_size: side of the RoI feature in bins.
    num_fcs: number of fully connected layers.
    fc_dims: number of units per layer.
    class_agnostic: whether a RoI has one refined box for all classes, as in HTC and Cascade R-CNN,
      and not one for each class, as in Mask R-CNN.
    num_convs: number of 3x3 convolutions before them, each with a norm; 4 in heads of the kind
      4conv1fc, which have one fully connected layer.
    conv_filters: number of channels of each convolution.
    norm_groups: number of groups of the convolutions' group norms, 32 as published; 0 for batch
      norms.
  """

  crop_size: PositiveInt = 7
  num_fcs: PositiveInt = 2
  fc_dims: PositiveInt = 1024
  class_agnostic: bool = True
  num_convs: Count = 0
  conv_filters: PositiveInt = 256
  norm_groups: Count = 0


@dataclasses.dataclass
class MaskHead(hyperparams.Config):
  """Convolutional mask head.

  Attributes:
    crop_size: side of the RoI feature in bins; the mask has twice as many pixels per side.
    num_convs: number of 3x3 convolutions before the upsampling.
    num_filters: number of channels.
    residual: whether every two convolutions have a shortcut, as in SCNet.
    norm_groups: number of groups of the group norm of each convolution, 32 as published; 0 for
      biased convolutions without norm.
  """

  crop_size: PositiveInt = 14
  num_convs: Count = 4
  num_filters: PositiveInt = 256
  residual: bool = False
  norm_groups: Count = 0


@dataclasses.dataclass
class GlobalContext(hyperparams.Config):
  """Global context branch of SCNet.

  Attributes:
    enabled: whether the model has the branch.
    num_convs: number of 3x3 convolutions on the coarsest level, two for each shortcut.
  """

  enabled: bool = False
  num_convs: Count = 4


@dataclasses.dataclass
class SemanticHead(hyperparams.Config):
  """Fused semantic segmentation branch (paper section 3.2, figure 3).

  Attributes:
    enabled: whether the model has the branch.
    num_classes: number of classes of the semantic map, background included; 183 for COCO-stuff.
    level: pyramid level that all other levels are resized to.
    num_convs: number of 3x3 convolutions after the fusion.
    num_filters: number of channels; must equal that of the decoder, because the RoI features of the
      two are added.
    crop_size: side of the semantic RoI feature in bins; it is averaged down to the crop size of a
      head.
    feeds_box: whether the semantic RoI feature is added to that of the box branch.
    feeds_mask: whether the semantic RoI feature is added to that of the mask branch.
    residual: whether every two convolutions have a shortcut, as in SCNet.
  """

  enabled: bool = True
  num_classes: PositiveInt = 183
  level: int = 3
  num_convs: Count = 4
  num_filters: PositiveInt = 256
  crop_size: PositiveInt = 14
  feeds_box: bool = True
  feeds_mask: bool = True
  residual: bool = False


@dataclasses.dataclass
class DetectionGenerator(hyperparams.Config):
  """Selection of detections by the scores of the ensemble of stages.

  Attributes:
    score_threshold: limit of the scores; detections are dropped unless their score is above it.
      It acts before NMS, so that Soft-NMS can lower scores below it.
    class_score_thresholds: limits of the scores by class, class 1 first, in the place of
      `score_threshold`; empty: one limit for all.
    nms: 'hard' drops detections that overlap a better one; 'linear' and 'gaussian' lower their
      scores (Soft-NMS, Bodla et al. 2017).
    nms_threshold: IoU above which 'hard' drops a detection, and from which on 'linear' lowers its
      score.
    class_agnostic_nms: whether detections act on those of all classes, not only of their own; also
      where detections of tiles, or of several models after their fusion, are joined.
    soft_nms_sigma: 'gaussian' multiplies scores by exp(-IoU^2 / sigma).
    soft_nms_min_score: 'linear' and 'gaussian' drop detections whose score has become lower.
    max_detections: largest number of detections per image.
    mask_ensemble: 'mean' for the mean mask probabilities of all stages, as published; 'last' for
      those of the last stage.
    mask_threshold: smallest probability of a pixel that belongs to an object, in evaluation,
      prediction and exports.
  """

  score_threshold: Fraction = 0.001
  class_score_thresholds: list[Fraction] = listed()
  nms: Annotated[str, OneOf(('hard', 'linear', 'gaussian'))] = 'hard'
  nms_threshold: Fraction = 0.5
  class_agnostic_nms: bool = False
  soft_nms_sigma: PositiveFloat = 0.5
  soft_nms_min_score: Fraction = 0.001
  max_detections: PositiveInt = 100
  mask_ensemble: Annotated[str, OneOf(('mean', 'last'))] = 'mean'
  mask_threshold: OpenFraction = 0.5


@dataclasses.dataclass
class Pixels(hyperparams.Config):
  """Samples of the images that the model reads; `input_size` has their number of channels.

  Images of 3 channels and 8 bits are RGB, into which files of every kind are converted. Other
  images must have exactly these channels and bits.

  Attributes:
    bits: number of bits of a sample, 8 or 16.
    mean: mean of each channel in units of the samples, as the metadata of the records has it;
      empty: the published means of RGB images of 8 bits.
    stddev: standard deviation of each channel, likewise.
  """

  bits: Annotated[int, OneOf(DEPTHS)] = 8
  mean: list[NonNegativeFloat] = listed()
  stddev: list[PositiveFloat] = listed()


@dataclasses.dataclass
class HTC(hyperparams.Config):
  """The whole model.

  Attributes:
    num_classes: number of classes of the instances, background included; 81 for COCO.
    input_size: largest height and width of the network input, and number of channels. A larger
      image is shrunk to fit. Images are padded according to `parser.buckets` of the data; with the
      proposals or the RoI aligner of Model Garden, which read static shapes, every image is padded
      to this size. Height and width must be multiples of `size_divisor`.
    pixels: samples of the images.
    min_level: finest decoder level.
    max_level: coarsest decoder level.
    include_mask: whether the model predicts masks.
    backbone: backbone network.
    decoder: feature pyramid network.
    norm_activation: batch norm of the backbone, and norm and activation of Model Garden's parts.
    anchor: anchors of the RPN.
    rpn_head: head of the RPN.
    rpn_sampler: selection of the anchors that the RPN is trained on.
    roi_generator: selection of proposals.
    roi_aligner: pooling of RoI features.
    cascade: stages of the cascade and their connections.
    box_head: box head of every stage.
    mask_head: mask head of every stage.
    semantic_head: semantic segmentation branch.
    global_context: global context branch.
    detection_generator: selection of detections.
  """

  num_classes: int = 81
  input_size: list[int] = listed(1344, 1344, 3)
  pixels: Pixels = part(Pixels)
  min_level: Level = 2
  max_level: Level = 6
  include_mask: bool = True
  backbone: Backbone = part(Backbone)
  decoder: Decoder = part(Decoder)
  norm_activation: common.NormActivation = part(
    common.NormActivation, norm_momentum=0.9, norm_epsilon=1e-5, use_sync_bn=False
  )
  anchor: Anchor = part(Anchor)
  rpn_head: RPNHead = part(RPNHead)
  rpn_sampler: RPNSampler = part(RPNSampler)
  roi_generator: RoIGenerator = part(RoIGenerator)
  roi_aligner: RoIAligner = part(RoIAligner)
  cascade: Cascade = part(Cascade)
  box_head: BoxHead = part(BoxHead)
  mask_head: MaskHead = part(MaskHead)
  semantic_head: SemanticHead = part(SemanticHead)
  global_context: GlobalContext = part(GlobalContext)
  detection_generator: DetectionGenerator = part(DetectionGenerator)

  @property
  def uses_static_size(self) -> bool:
    """Whether every network input has the size `input_size`, because a part reads static shapes."""
    return 'model_garden' in (self.roi_generator.type, self.roi_aligner.type)

  @property
  def has_assistant(self) -> bool:
    """Whether the backbone is a composite, whose assisting backbone has losses too."""
    return self.backbone.type == 'published_swin' and self.backbone.published_swin.composite

  @property
  def sample_format(self) -> SampleFormat:
    """Channels and depth of the images."""
    return SampleFormat(self.input_size[2], self.pixels.bits)

  @property
  def normalization(self) -> Normalization:
    """Mean and standard deviation of each channel."""
    if not self.pixels.mean:
      return PUBLISHED
    largest = 2**self.pixels.bits - 1
    return Normalization(tuple(self.pixels.mean), tuple(self.pixels.stddev), largest=largest)

  @property
  def size_divisor(self) -> int:
    """Divisor of the height and width of padded images."""
    rounds = self.decoder.type in ('published_fpn', 'published_hrfpn', 'recursive_fpn')
    return 32 if rounds else max(32, 2**self.max_level)
