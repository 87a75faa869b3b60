"""Configuration of the features of an image, of proposals and of RoI features, part by part.

The defaults are those of the published HTC R50-FPN.
"""

import dataclasses
from typing import Annotated

from official.modeling import hyperparams
from official.vision.configs import backbones, decoders, maskrcnn

from htc_tf.configs.bounds import (
  Bounds,
  Count,
  Fraction,
  NonNegativeFloat,
  OneOf,
  PositiveFloat,
  PositiveInt,
)
from htc_tf.configs.config_fields import listed, part

# A level of the feature pyramid: its stride is 2**level pixels.
Level = Annotated[int, Bounds(1, 10)]


@dataclasses.dataclass
class PublishedResNet(hyperparams.Config):
  """ResNet, ResNeXt and Res2Net in the layout of the published checkpoints.

  Attributes:
    model_id: depth, one of 18, 34, 50, 101, 152.
    frozen_stages: last frozen stage: -1 none, 0 the stem, 1 the stem and the first residual stage,
      ..., 4 everything.
    norm_eval: whether batch norm uses its running statistics in training as well; its scale and
      bias are still trained, unless train_norms is false.
    train_norms: whether scale and bias of batch norms are trained; false in the published
      X101-32x8d. Needs norm_eval if false.
    width_multiplier: factor on every number of channels, for small models; 1 as published.
    groups: number of groups of the 3x3 convolutions with depth 50 or more; 32 or 64 in ResNeXt.
    base_width: number of channels per group, or per scale, in the first residual stage; 4 or 8 in
      ResNeXt, 26 in Res2Net.
    deformable_stages: residual stages, 1 to 4, with deformable 3x3 convolutions; [2, 3, 4] in the
      published model with deformable convolutions.
    modulated: whether deformable convolutions also predict the strength of each sample, as in
      version 2 (Zhu et al. 2019).
    recompute: whether training keeps only the outputs of residual blocks and recomputes their
      activations for the backward pass: less memory, more time, the same gradients. Needs
      norm_eval.
    scales: number of scales that the 3x3 convolutions work on with depth 50 or more; 4 in Res2Net,
      1 in other networks. Needs avg_down for more than 1.
    deep_stem: whether the stem is three 3x3 convolutions instead of one 7x7 convolution, as in
      Res2Net v1d and ResNet-D.
    avg_down: whether shortcuts that halve the resolution average 2x2 pixels instead of reading
      every fourth one, as in Res2Net v1d and ResNet-D.
    standardized: whether the kernels of all convolutions are standardized, as in DetectoRS.
    switchable_stages: residual stages, 1 to 4, with switchable atrous 3x3 convolutions; [2, 3, 4]
      in DetectoRS. Needs standardized.
  """

  model_id: Annotated[int, OneOf((18, 34, 50, 101, 152))] = 50
  frozen_stages: Annotated[int, Bounds(-1, 4)] = 1
  norm_eval: bool = True
  train_norms: bool = True
  width_multiplier: PositiveFloat = 1.0
  groups: PositiveInt = 1
  base_width: PositiveInt = 64
  deformable_stages: list[int] = listed()
  modulated: bool = False
  recompute: bool = False
  scales: PositiveInt = 1
  deep_stem: bool = False
  avg_down: bool = False
  standardized: bool = False
  switchable_stages: list[int] = listed()


@dataclasses.dataclass
class PublishedHRNet(hyperparams.Config):
  """HRNet in the layout of the published checkpoints.

  Attributes:
    width: number of channels of the finest branch; 18, 32 or 40 in the published models. Each
      further branch has twice as many.
    num_modules: number of modules of the stages 2, 3 and 4; 1, 4, 3 as published.
    num_blocks: number of residual blocks of stage 1 and of each branch of a module; 4 as published.
    stem_filters: number of channels of the stem, and of the inner convolutions of stage 1; 64 as
      published.
    frozen_stages: last frozen stage: -1 none, as published, 0 the stem, 1 the stem and the first
      stage, ..., 4 everything.
    norm_eval: whether batch norm uses its running statistics in training as well; its scale and
      bias are still trained.
    recompute: whether training keeps only the outputs of modules and recomputes their activations
      for the backward pass: less memory, more time, the same gradients. Needs norm_eval.
  """

  width: PositiveInt = 32
  num_modules: list[PositiveInt] = listed(1, 4, 3)
  num_blocks: PositiveInt = 4
  stem_filters: PositiveInt = 64
  frozen_stages: Annotated[int, Bounds(-1, 4)] = -1
  norm_eval: bool = True
  recompute: bool = False


@dataclasses.dataclass
class PublishedSwin(hyperparams.Config):
  """Swin transformer, or CBNetV2's composite of two; the default is Swin-T.

  Attributes:
    embed_dim: number of channels of the first stage; each further one has twice as many. 96 in
      Swin-T and Swin-S, 128 in Swin-B, 192 in Swin-L.
    depths: number of blocks of each of the four stages; [2, 2, 18, 2] in Swin-S, -B and -L.
    num_heads: number of attention heads of each stage; [4, 8, 16, 32] in Swin-B, [6, 12, 24, 48] in
      Swin-L.
    window_size: side, in pixels of the map, of the windows of the attention.
    mlp_ratio: width of the hidden layers in channels of their stage.
    qkv_bias: whether queries, keys and values have a bias.
    patch_norm: whether the patch embedding is normed.
    drop_path_rate: rate at which the last block is dropped in training; those of the other blocks
      rise linearly from 0.
    frozen_stages: last frozen stage: -1 none, as published, 0 the patch embedding, 1 also the first
      stage, ..., 4 everything but the norms of the outputs. Stages are counted as in the other
      backbones and in mmdetection 3, which freezes the norms too; in the code of Swin and CBNetV2,
      `frozen_stages` of 2, 3 and 4 mean 1, 2 and 3 here, and 1 means 0.
    recompute: whether training keeps only the outputs of blocks and recomputes their activations
      for the backward pass: less memory, more time, the same gradients.
    composite: whether there are two transformers, of which the second one also gets the features of
      the first (CBNetV2, Liang et al. 2021). In training, all losses are computed for the first one
      too, and weighted by `task.losses.assistant_weight`.
  """

  embed_dim: PositiveInt = 96
  depths: list[PositiveInt] = listed(2, 2, 6, 2)
  num_heads: list[PositiveInt] = listed(3, 6, 12, 24)
  window_size: Annotated[int, Bounds(2, 64)] = 7
  mlp_ratio: PositiveFloat = 4.0
  qkv_bias: bool = True
  patch_norm: bool = True
  drop_path_rate: Annotated[float, Bounds(0, 1, below=True)] = 0.2
  frozen_stages: Annotated[int, Bounds(-1, 4)] = -1
  recompute: bool = False
  composite: bool = False


@dataclasses.dataclass
class Backbone(backbones.Backbone):
  """Model Garden's backbones and the published layout; `type` selects one by field name."""

  type: str | None = 'published_resnet'
  published_resnet: PublishedResNet = part(PublishedResNet)
  published_hrnet: PublishedHRNet = part(PublishedHRNet)
  published_swin: PublishedSwin = part(PublishedSwin)


@dataclasses.dataclass
class PublishedFPN(hyperparams.Config):
  """FPN with biased convolutions, without norm; the coarsest level is subsampled.

  Attributes:
    num_filters: number of channels of every level.
    norm_groups: number of groups of a group norm after each convolution, which then has no bias, 32
      as published; 0 for none.
  """

  num_filters: PositiveInt = 256
  norm_groups: Count = 0


@dataclasses.dataclass
class PublishedHRFPN(hyperparams.Config):
  """Pyramid of HRNet with biased convolutions, without norm; coarser levels are averaged.

  Attributes:
    num_filters: number of channels of every level.
  """

  num_filters: PositiveInt = 256


@dataclasses.dataclass
class RecursiveFPN(PublishedFPN):
  """FPN whose pyramid is fed back into a second backbone of the same configuration (DetectoRS).

  Attributes:
    num_filters: number of channels of every level.
    norm_groups: number of groups of a group norm after each of its convolutions; 0 for none.
    aspp_filters: number of channels of each of the four branches that connect the pyramid with the
      second backbone.
  """

  aspp_filters: PositiveInt = 64


@dataclasses.dataclass
class Decoder(decoders.Decoder):
  """Model Garden's decoders and the published layouts; `type` selects one by field name."""

  type: str | None = 'published_fpn'
  published_fpn: PublishedFPN = part(PublishedFPN)
  published_hrfpn: PublishedHRFPN = part(PublishedHRFPN)
  recursive_fpn: RecursiveFPN = part(RecursiveFPN)


@dataclasses.dataclass
class Anchor(hyperparams.Config):
  """Anchors of one size per level.

  Attributes:
    scale: side of a square anchor in strides of its level.
    aspect_ratios: height / width of each anchor at a position.
    center_offset: center of the first anchor in strides; 0 as published, 0.5 in Model Garden.
  """

  scale: PositiveFloat = 8.0
  aspect_ratios: list[PositiveFloat] = listed(0.5, 1.0, 2.0)
  center_offset: Fraction = 0.0


@dataclasses.dataclass
class PublishedRPNHead(hyperparams.Config):
  """RPN head with one 3x3 convolution, shared by the levels, without norm.

  Attributes:
    num_filters: number of channels of the convolution.
  """

  num_filters: PositiveInt = 256


@dataclasses.dataclass
class RPNHead(hyperparams.OneOfConfig):
  """The published RPN head or Model Garden's; `type` selects one by field name."""

  type: str | None = 'published'
  published: PublishedRPNHead = part(PublishedRPNHead)
  model_garden: maskrcnn.RPNHead = part(maskrcnn.RPNHead)


@dataclasses.dataclass
class RPNSampler(hyperparams.Config):
  """Selection of the anchors that the RPN is trained on.

  Attributes:
    positive_threshold: smallest IoU of a positive anchor.
    negative_threshold: IoU below which an anchor is negative.
    min_positive_threshold: smallest IoU of a low-quality match: the best anchors of a ground-truth
      box are positive from this IoU on, even below `positive_threshold`.
    num_samples: number of sampled anchors per image.
    positive_fraction: largest share of positives among the samples.
    inside_only: whether anchors are left out unless they are wholly inside the image, as in HTC;
      otherwise, as in Mask R-CNN, unless their center is inside the image as the paper's code pads
      it.
  """

  positive_threshold: Fraction = 0.7
  negative_threshold: Fraction = 0.3
  min_positive_threshold: Fraction = 0.3
  num_samples: PositiveInt = 256
  positive_fraction: Fraction = 0.5
  inside_only: bool = True


@dataclasses.dataclass
class PublishedRoIGenerator(hyperparams.Config):
  """Proposals as published: top-k and NMS (IoU `>` threshold) per level, then the best of all.

  Attributes:
    pre_nms_top_k: number of anchors per level that enter NMS in training.
    num_proposals: number of proposals per image in training.
    test_pre_nms_top_k: number of anchors per level that enter NMS at inference.
    test_num_proposals: number of proposals per image at inference.
    nms_threshold: IoU above which NMS suppresses a proposal.
    min_size: limit in pixels; proposals are dropped unless width and height are above it.
    clip_deltas_below: whether dh and dw have a lower bound too, as in the paper's code.
  """

  pre_nms_top_k: PositiveInt = 2000
  num_proposals: PositiveInt = 2000
  test_pre_nms_top_k: PositiveInt = 1000
  test_num_proposals: PositiveInt = 1000
  nms_threshold: Fraction = 0.7
  min_size: NonNegativeFloat = 0.0
  clip_deltas_below: bool = True


@dataclasses.dataclass
class RoIGenerator(hyperparams.OneOfConfig):
  """The published proposal generator or Model Garden's; `type` selects one by field name."""

  type: str | None = 'published'
  published: PublishedRoIGenerator = part(PublishedRoIGenerator)
  model_garden: maskrcnn.ROIGenerator = part(maskrcnn.ROIGenerator)


@dataclasses.dataclass
class PublishedRoIAligner(hyperparams.Config):
  """Exact RoIAlign; the crop size is configured with the head that uses it.

  Attributes:
    finest_scale: half of the side, in pixels, below which a square RoI is pooled from `min_level`.
    min_level: finest pyramid level that RoIs are pooled from.
    max_level: coarsest pyramid level that RoIs are pooled from.
    level_rule: 'mmdet' or 'paddle', which add the constant 1e-6 at different places.
  """

  finest_scale: PositiveFloat = 56.0
  min_level: Level = 2
  max_level: Level = 5
  level_rule: Annotated[str, OneOf(('mmdet', 'paddle'))] = 'mmdet'


@dataclasses.dataclass
class ModelGardenRoIAligner(hyperparams.Config):
  """Model Garden's aligner: one bilinear sample per bin, levels by box size.

  Attributes:
    sample_offset: position of the sample in its bin, as a share of the bin.
  """

  sample_offset: Fraction = 0.5


@dataclasses.dataclass
class RoIAligner(hyperparams.OneOfConfig):
  """The exact RoI aligner or Model Garden's; `type` selects one by field name."""

  type: str | None = 'published'
  published: PublishedRoIAligner = part(PublishedRoIAligner)
  model_garden: ModelGardenRoIAligner = part(ModelGardenRoIAligner)
