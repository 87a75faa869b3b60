"""Names of the checkpoints of laihuihui/htc, which is based on PaddleDetection."""

from htc_tf.convert import transforms as t
from htc_tf.convert.layer_parts import CONV, KERNEL, WEIGHTS
from htc_tf.convert.mmdet_names import CLASSES_LAST, SEMANTIC_CLASSES, decoder_rows, mask_rows
from htc_tf.convert.name_map import NameMap, rows

_NORM = {'weight': 'gamma', 'bias': 'beta', '_mean': 'moving_mean', '_variance': 'moving_variance'}
# res2a is our layer1/0; branch2a is our conv1.
_BLOCK = 'backbone.res{layer:from2}.res{layer:from2}{block:letter}'
_OUR_BLOCK = 'backbone/layer{layer:from1}/{block}'
_STAGE = 'cascade/stages/{stage}'
_SEMANTIC = 'fused_semantic_head'

_BACKBONE_ROWS = (
  *rows('backbone.conv1.conv1.conv', 'backbone/conv1', KERNEL, CONV),
  *rows('backbone.conv1.conv1.norm', 'backbone/bn1', _NORM, {}),
  *rows(f'{_BLOCK}.branch2{{conv:letter}}.conv', f'{_OUR_BLOCK}/conv{{conv:from1}}', KERNEL, CONV),
  *rows(f'{_BLOCK}.branch2{{conv:letter}}.norm', f'{_OUR_BLOCK}/bn{{conv:from1}}', _NORM, {}),
  *rows(f'{_BLOCK}.short.conv', f'{_OUR_BLOCK}/downsample/0', KERNEL, CONV),
  *rows(f'{_BLOCK}.short.norm', f'{_OUR_BLOCK}/downsample/1', _NORM, {}),
)

_RPN_ROWS = (
  *rows('rpn_head.rpn_feat.rpn_conv', 'rpn_head/conv', WEIGHTS, CONV),
  *rows('rpn_head.rpn_rois_score', 'rpn_head/logits', WEIGHTS, CONV),
  *rows(
    'rpn_head.rpn_rois_delta',
    'rpn_head/deltas',
    WEIGHTS,
    {'kernel': (t.CONV, t.YX_DELTAS), 'bias': (t.YX_DELTAS,)},
  ),
)

_SEMANTIC_ROWS = (
  *rows(
    f'{_SEMANTIC}.lateral_convs.{{level}}.conv', 'semantic_head/laterals/{level}', WEIGHTS, CONV
  ),
  *rows(f'{_SEMANTIC}.convs.{{conv}}.conv', 'semantic_head/convs/{conv}', WEIGHTS, CONV),
  *rows(f'{_SEMANTIC}.conv_embedding', 'semantic_head/embedding', WEIGHTS, CONV),
  *rows(f'{_SEMANTIC}.conv_logits', 'semantic_head/logits', WEIGHTS, CONV, SEMANTIC_CLASSES),
)

# Paddle stores fully connected weights as [in, out], as we do.
_BOX_ROWS = (
  *rows(
    'bbox_head.head.{stage}.fc6', f'{_STAGE}/box_head/fcs/0', WEIGHTS, {'kernel': (t.FLAT_ROI,)}
  ),
  *rows('bbox_head.head.{stage}.fc7', f'{_STAGE}/box_head/fcs/1', WEIGHTS, {}),
  *rows(
    'bbox_head.bbox_score_stage{stage}',
    f'{_STAGE}/box_head/logits',
    WEIGHTS,
    {'kernel': (t.BACKGROUND_FIRST,), 'bias': (t.BACKGROUND_FIRST,)},
    CLASSES_LAST,
  ),
  *rows(
    'bbox_head.bbox_delta_stage{stage}',
    f'{_STAGE}/box_head/deltas',
    WEIGHTS,
    {'kernel': (t.YX_DELTAS,), 'bias': (t.YX_DELTAS,)},
  ),
)

PADDLE = NameMap(
  'paddle',
  (
    *_BACKBONE_ROWS,
    *decoder_rows(),
    *_RPN_ROWS,
    *_SEMANTIC_ROWS,
    *_BOX_ROWS,
    *mask_rows('bbox_head.mask_head.head.{stage}', _STAGE),
  ),
)
