"""Builders of the model's parts; the only module of the model that reads configuration."""

import functools
from typing import Any

import tf_keras
from official.vision.modeling.backbones import factory as backbone_factory
from official.vision.modeling.decoders import factory as decoder_factory
from official.vision.modeling.heads import dense_prediction_heads
from official.vision.modeling.layers import roi_aligner as model_garden_roi_aligner

from htc_tf.configs import model as model_config
from htc_tf.modeling import precision
from htc_tf.modeling.backbones import (  # noqa: F401
  published_hrnet,
  published_resnet,
  published_swin,
)
from htc_tf.modeling.cascade import Cascade
from htc_tf.modeling.cascade_stage import CascadeStage
from htc_tf.modeling.decoders import published_fpn, published_hrfpn, recursive_fpn  # noqa: F401
from htc_tf.modeling.detection import DetectionGenerator
from htc_tf.modeling.heads.box_head import BoxHead
from htc_tf.modeling.heads.conv_box_head import ConvBoxHead
from htc_tf.modeling.heads.feature_relay import FeatureRelay
from htc_tf.modeling.heads.global_context_head import GlobalContextHead
from htc_tf.modeling.heads.mask_head import MaskHead
from htc_tf.modeling.heads.mask_predictor import MaskPredictor
from htc_tf.modeling.heads.rpn_head import RPNHead
from htc_tf.modeling.heads.semantic_head import SemanticHead
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.layers.anchor_assigner import AnchorAssigner
from htc_tf.modeling.layers.batch_norm import NormOptions
from htc_tf.modeling.layers.frozen_variables import creating_frozen
from htc_tf.modeling.layers.model_garden_roi_generator import ModelGardenProposalGenerator
from htc_tf.modeling.layers.roi_align import MultilevelRoIAligner
from htc_tf.modeling.layers.roi_features import RoIFeatures
from htc_tf.modeling.layers.roi_generator import ProposalGenerator
from htc_tf.modeling.layers.stage_assigner import StageAssigner
from htc_tf.modeling.region_proposal_network import RegionProposalNetwork
from htc_tf.modeling.shared_mask_cascade import SharedMaskCascade
from htc_tf.ops import anchors
from htc_tf.ops.soft_nms import Suppression


def build_htc(config: model_config.HTC, freeze_backbone: bool = False) -> HTCModel:
  """The model of a configuration, with all its variables.

  Args:
    config: configuration that has been validated (`configs.model_validation`).
    freeze_backbone: whether the backbone is not trained, and gradient tapes do not record it.
  """
  static = config.uses_static_size
  shape = list(config.input_size) if static else [None, None, config.input_size[2]]
  build_backbone = build_frozen_backbone if freeze_backbone else backbone_factory.build_backbone
  backbone = build_backbone(
    input_specs=tf_keras.layers.InputSpec(shape=[None, *shape]),
    backbone_config=config.backbone,
    norm_activation_config=config.norm_activation,
  )
  decoder = decoder_factory.build_decoder(backbone.output_specs, config)
  divisor, static_hw = config.size_divisor, (config.input_size[0], config.input_size[1])
  model = HTCModel(
    backbone=backbone,
    decoder=decoder,
    rpn=build_rpn(config),
    cascade=build_cascade(config),
    detection_generator=build_detection_generator(config.detection_generator),
    semantic_head=build_semantic_head(config),
    size_divisor=divisor,
    static_hw=static_hw if static else None,
  )
  model.context_head = build_context_head(config)
  model.create_variables(*(static_hw if static else (divisor, divisor)), config.input_size[2])
  return model


def build_frozen_backbone(**arguments: Any) -> tf_keras.Model:
  """A backbone that is not trained, updates no running statistics, and that no tape records.

  `trainable = False` alone changes only the lists of variables of a Keras model: a tape would still
  record every operation that reads a variable, and the backward pass would run through them.

  Args:
    **arguments: arguments of Model Garden's `build_backbone`.
  """
  with creating_frozen():
    backbone = backbone_factory.build_backbone(**arguments)
  backbone.trainable = False
  return backbone


def build_rpn(config: model_config.HTC) -> RegionProposalNetwork:
  """The region proposal network of a model."""
  anchor = config.anchor
  return RegionProposalNetwork(
    build_rpn_head(config),
    functools.partial(
      anchors.generate_anchors,
      scale=anchor.scale,
      aspect_ratios=tuple(anchor.aspect_ratios),
      center_offset=anchor.center_offset,
    ),
    build_roi_generator(config.roi_generator),
    AnchorAssigner(**config.rpn_sampler.as_dict(), rule=config.cascade.sampling_rule),
  )


def build_rpn_head(config: model_config.HTC) -> tf_keras.layers.Layer:
  """The RPN head of type `config.rpn_head.type`."""
  with precision.of_boxes():
    return _rpn_head(config)


def _rpn_head(config: model_config.HTC) -> tf_keras.layers.Layer:
  head = config.rpn_head.get()
  num_anchors = len(config.anchor.aspect_ratios)
  if config.rpn_head.type == 'published':
    return RPNHead(num_anchors, head.num_filters, name='rpn_head')
  norm = config.norm_activation
  return dense_prediction_heads.RPNHead(
    min_level=config.min_level,
    max_level=config.max_level,
    num_anchors_per_location=num_anchors,
    num_convs=head.num_convs,
    num_filters=head.num_filters,
    use_separable_conv=head.use_separable_conv,
    activation=norm.activation,
    use_sync_bn=norm.use_sync_bn,
    norm_momentum=norm.norm_momentum,
    norm_epsilon=norm.norm_epsilon,
  )


def build_roi_generator(config: model_config.RoIGenerator) -> tf_keras.layers.Layer:
  """The proposal generator of type `config.type`."""
  values = config.get().as_dict()
  if config.type == 'published':
    return ProposalGenerator(**values)
  return ModelGardenProposalGenerator(**values)


def build_roi_aligner(config: model_config.RoIAligner, crop_size: int) -> tf_keras.layers.Layer:
  """The RoI aligner of type `config.type` for one crop size."""
  values = config.get().as_dict()
  if config.type == 'published':
    return MultilevelRoIAligner(crop_size, **values)
  return model_garden_roi_aligner.MultilevelROIAligner(crop_size, autocast=False, **values)


def build_roi_features(config: model_config.HTC, crop_size: int, use_semantic: bool) -> RoIFeatures:
  """The layer of RoI features for the box heads or the mask heads."""
  semantic = config.semantic_head
  return RoIFeatures(
    build_roi_aligner(config.roi_aligner, crop_size),
    crop_size,
    semantic.crop_size if semantic.enabled and use_semantic else None,
    2**semantic.level,
  )


def build_stage(config: model_config.HTC, index: int) -> CascadeStage:
  """Stage `index`, counted from 0, of the cascade."""
  cascade, stage = config.cascade, config.cascade.stages[index]
  assigner = StageAssigner(
    stage.iou_threshold,
    cascade.num_sampled_rois,
    cascade.positive_fraction,
    match_low_quality=cascade.match_low_quality,
    rule=cascade.sampling_rule,
  )
  with precision.of_boxes():
    box_head = build_box_head(config)
  mask_head, mask_predictor = build_mask_parts(config, index)
  return CascadeStage(
    box_head,
    assigner,
    stage.box_coder_weights,
    mask_head,
    mask_predictor,
    recompute_masks=cascade.recompute_masks,
  )


def build_box_head(config: model_config.HTC) -> BoxHead:
  """The box head of a stage, with convolutions if `config.box_head.num_convs` is not 0."""
  head = config.box_head
  if not head.num_convs:
    return BoxHead(config.num_classes, head.num_fcs, head.fc_dims, head.class_agnostic)
  return ConvBoxHead(
    head.num_convs,
    head.conv_filters,
    NormOptions.configured(norm_eval=False, config=config.norm_activation),
    head.norm_groups,
    num_classes=config.num_classes,
    num_fcs=head.num_fcs,
    fc_dims=head.fc_dims,
    class_agnostic=head.class_agnostic,
  )


def build_mask_parts(
  config: model_config.HTC, index: int
) -> tuple[MaskHead | None, MaskPredictor | None]:
  """Mask head and mask predictor of stage `index`; None without masks or if they are shared."""
  if not config.include_mask or config.cascade.shared_mask:
    return None, None
  takes_previous = config.cascade.mask_information_flow and index > 0
  return build_mask_head(config, takes_previous), build_mask_predictor(config)


def build_mask_head(config: model_config.HTC, takes_previous: bool) -> MaskHead:
  """A mask head; `takes_previous` tells whether the feature of the previous stage is added."""
  head = config.mask_head
  return MaskHead(head.num_convs, head.num_filters, takes_previous, head.residual, head.norm_groups)


def build_mask_predictor(config: model_config.HTC) -> MaskPredictor:
  """A mask predictor."""
  return MaskPredictor(config.num_classes, config.mask_head.num_filters)


def build_cascade(config: model_config.HTC) -> Cascade:
  """All stages, with the layers of RoI features that they share."""
  cascade, semantic = config.cascade, config.semantic_head
  mask_features = None
  if config.include_mask:
    mask_features = build_roi_features(config, config.mask_head.crop_size, semantic.feeds_mask)
  stages = [build_stage(config, index) for index in range(len(cascade.stages))]
  box_features = build_roi_features(config, config.box_head.crop_size, semantic.feeds_box)
  num_mask_rois = int(cascade.num_sampled_rois * cascade.positive_fraction)
  if cascade.shared_mask:
    return SharedMaskCascade(
      stages,
      box_features,
      mask_features,
      build_mask_head(config, takes_previous=False),
      build_mask_predictor(config),
      build_feature_relay(config) if cascade.feature_relay else None,
      num_mask_rois,
      name='cascade',
    )
  return Cascade(
    stages,
    box_features,
    mask_features,
    interleaved=cascade.interleaved,
    information_flow=cascade.mask_information_flow,
    num_mask_rois=num_mask_rois,
    mask_ensemble=config.detection_generator.mask_ensemble,
    name='cascade',
  )


def build_feature_relay(config: model_config.HTC) -> FeatureRelay:
  """The layer from the feature of the last box head to summands of mask features."""
  filters = config.decoder.get().num_filters
  return FeatureRelay(config.box_head.crop_size, config.mask_head.crop_size, filters)


def build_context_head(config: model_config.HTC) -> GlobalContextHead | None:
  """The global context branch, or None if it is disabled."""
  if not config.global_context.enabled:
    return None
  return GlobalContextHead(
    config.num_classes,
    config.global_context.num_convs,
    config.decoder.get().num_filters,
    name='context_head',
  )


def build_detection_generator(config: model_config.DetectionGenerator) -> DetectionGenerator:
  """The layer that selects detections."""
  suppression = Suppression(
    config.nms,
    config.nms_threshold,
    config.soft_nms_sigma,
    config.soft_nms_min_score,
    config.class_agnostic_nms,
  )
  thresholds = config.class_score_thresholds or config.score_threshold
  return DetectionGenerator(thresholds, suppression, config.max_detections)


def build_semantic_head(config: model_config.HTC) -> SemanticHead | None:
  """The semantic branch, or None if it is disabled."""
  head = config.semantic_head
  if not head.enabled:
    return None
  levels = tuple(str(level) for level in range(config.min_level, config.max_level + 1))
  return SemanticHead(
    head.num_classes,
    levels,
    head.level,
    head.num_convs,
    head.num_filters,
    head.residual,
    name='semantic_head',
  )
