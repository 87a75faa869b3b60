"""Names of mmdetection's checkpoints (2.x and 3.x) and rows that other sources share."""

from htc_tf.convert import transforms as t
from htc_tf.convert.name_map import ClassAxis, NameMap, Row, rows
from htc_tf.convert.swin_names import COMPUTED, SWIN_ROWS

WEIGHTS = {'weight': 'kernel', 'bias': 'bias'}
KERNEL = {'weight': 'kernel'}
NORM = {
  'weight': 'gamma',
  'bias': 'beta',
  'running_mean': 'moving_mean',
  'running_var': 'moving_variance',
}
CONV = {'kernel': (t.CONV,)}

CLASSES_LAST = ClassAxis('task.model.num_classes', -1)
CLASSES_FIRST = ClassAxis('task.model.num_classes', 0)
SEMANTIC_CLASSES = ClassAxis('task.model.semantic_head.num_classes', -1)

_HEAD, _STAGE = 'roi_head', 'cascade/stages/{stage}'
_BOX, _MASK = f'{_HEAD}.bbox_head.{{stage}}', f'{_HEAD}.mask_head.{{stage}}'
_SEMANTIC = f'{_HEAD}.semantic_head'
_BLOCK, _OUR_BLOCK = 'layer{layer}.{block}', 'backbone/layer{layer}/{block}'


def backbone_rows(prefix: str = '') -> tuple[Row, ...]:
  """Rows of ResNet and ResNeXt with torchvision's names; deformable layers have mmdetection's.

  Args:
    prefix: prefix of the published names.
  """
  block = prefix + _BLOCK
  return (
    *rows(f'{prefix}conv1', 'backbone/conv1', KERNEL, CONV),
    *rows(f'{prefix}bn1', 'backbone/bn1', NORM, {}),
    *rows(f'{block}.conv{{conv}}', f'{_OUR_BLOCK}/conv{{conv}}', KERNEL, CONV),
    *rows(f'{block}.conv2.conv_offset', f'{_OUR_BLOCK}/conv2/conv_offset', WEIGHTS, CONV),
    *rows(f'{block}.bn{{norm}}', f'{_OUR_BLOCK}/bn{{norm}}', NORM, {}),
    *rows(f'{block}.downsample.0', f'{_OUR_BLOCK}/downsample/0', KERNEL, CONV),
    *rows(f'{block}.downsample.1', f'{_OUR_BLOCK}/downsample/1', NORM, {}),
  )


def mask_rows(source: str, path: str) -> tuple[Row, ...]:
  """Rows of a mask head, whose names in mmdetection and laihuihui/htc differ only in the prefix.

  Args:
    source: prefix of the published names, without the last dot.
    path: path of the stage.
  """
  pointwise: dict[str, tuple[t.Step, ...]] = {'kernel': (t.POINTWISE,)}
  return (
    *rows(f'{source}.convs.{{conv}}.conv', f'{path}/mask_head/convs/{{conv}}', WEIGHTS, CONV),
    *rows(f'{source}.conv_res.conv', f'{path}/mask_head/flow', WEIGHTS, CONV),
    *rows(f'{source}.upsample', f'{path}/mask_predictor/upsample', WEIGHTS, CONV),
    *rows(
      f'{source}.conv_logits',
      f'{path}/mask_predictor/conv_logits',
      WEIGHTS,
      pointwise,
      CLASSES_FIRST,
    ),
  )


def decoder_rows() -> tuple[Row, ...]:
  """Rows of the FPN, which has the same names in mmdetection and laihuihui/htc."""
  return (
    *rows('neck.lateral_convs.{level}.conv', 'decoder/laterals/{level}', WEIGHTS, CONV),
    *rows('neck.fpn_convs.{level}.conv', 'decoder/outputs/{level}', WEIGHTS, CONV),
  )


_RPN_ROWS = (
  *rows('rpn_head.rpn_conv', 'rpn_head/conv', WEIGHTS, CONV),
  *rows('rpn_head.rpn_cls', 'rpn_head/logits', WEIGHTS, CONV),
  *rows(
    'rpn_head.rpn_reg',
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
  *rows(f'{_SEMANTIC}.conv_embedding.conv', 'semantic_head/embedding', WEIGHTS, CONV),
  *rows(f'{_SEMANTIC}.conv_logits', 'semantic_head/logits', WEIGHTS, CONV, SEMANTIC_CLASSES),
)

_BOX_ROWS = (
  *rows(
    f'{_BOX}.shared_convs.{{conv}}.conv', f'{_STAGE}/box_head/convs/{{conv}}', KERNEL, CONV
  ),
  *rows(f'{_BOX}.shared_convs.{{conv}}.bn', f'{_STAGE}/box_head/norms/{{conv}}', NORM, {}),
  *rows(
    f'{_BOX}.shared_fcs.0', f'{_STAGE}/box_head/fcs/0', WEIGHTS, {'kernel': (t.LINEAR, t.FLAT_ROI)}
  ),
  *rows(
    f'{_BOX}.shared_fcs.{{fc}}', f'{_STAGE}/box_head/fcs/{{fc}}', WEIGHTS, {'kernel': (t.LINEAR,)}
  ),
  *rows(
    f'{_BOX}.fc_cls',
    f'{_STAGE}/box_head/logits',
    WEIGHTS,
    {'kernel': (t.LINEAR, t.BACKGROUND_FIRST), 'bias': (t.BACKGROUND_FIRST,)},
    CLASSES_LAST,
  ),
  *rows(
    f'{_BOX}.fc_reg',
    f'{_STAGE}/box_head/deltas',
    WEIGHTS,
    {'kernel': (t.LINEAR, t.YX_DELTAS), 'bias': (t.YX_DELTAS,)},
  ),
)

# These entries count the training steps of a batch norm; nothing uses them.
BATCH_COUNTERS = r'.*\.num_batches_tracked'

MMDET = NameMap(
  'mmdet',
  (
    *backbone_rows('backbone.'),
    *SWIN_ROWS,
    *decoder_rows(),
    *_RPN_ROWS,
    *_SEMANTIC_ROWS,
    *_BOX_ROWS,
    *mask_rows(_MASK, _STAGE),
  ),
  ignored=(BATCH_COUNTERS, COMPUTED),
)
