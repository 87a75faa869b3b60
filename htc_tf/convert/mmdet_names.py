"""Names of mmdetection's checkpoints (2.x and 3.x) and rows that other sources share."""

from htc_tf.convert import transforms as t
from htc_tf.convert.name_map import ClassAxis, NameMap, Row, rows

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
  """Rows of ResNet, ResNeXt and Res2Net with torchvision's names, where torchvision has them.

  The other names (deep stem, scales, deformable layers) are those of mmdetection. The entry
  `downsample.1.weight` is a norm's, or a convolution's if an average pooling comes before it.

  Args:
    prefix: prefix of the published names.
  """
  block = prefix + _BLOCK
  stem = (
    row
    for index in range(3)  # In the published stem, a ReLU follows each convolution and norm.
    for row in (
      *rows(f'{prefix}stem.{3 * index}', f'backbone/stem/{2 * index}', KERNEL, CONV),
      *rows(f'{prefix}stem.{3 * index + 1}', f'backbone/stem/{2 * index + 1}', NORM, {}),
    )
  )
  return (
    *rows(f'{prefix}conv1', 'backbone/conv1', KERNEL, CONV),
    *rows(f'{prefix}bn1', 'backbone/bn1', NORM, {}),
    *rows(f'{block}.conv{{conv}}', f'{_OUR_BLOCK}/conv{{conv}}', KERNEL, CONV),
    *rows(f'{block}.conv2.conv_offset', f'{_OUR_BLOCK}/conv2/conv_offset', WEIGHTS, CONV),
    *rows(f'{block}.bn{{norm}}', f'{_OUR_BLOCK}/bn{{norm}}', NORM, {}),
    *rows(f'{block}.downsample.0', f'{_OUR_BLOCK}/downsample/0', KERNEL, CONV),
    *rows(f'{block}.downsample.1', f'{_OUR_BLOCK}/downsample/1', NORM, {}),
    *stem,
    *rows(f'{block}.convs.{{scale}}', f'{_OUR_BLOCK}/convs/{{scale}}', KERNEL, CONV),
    *rows(f'{block}.bns.{{scale}}', f'{_OUR_BLOCK}/bns/{{scale}}', NORM, {}),
    *rows(f'{block}.downsample.1', f'{_OUR_BLOCK}/downsample/1', KERNEL, CONV),
    *rows(f'{block}.downsample.2', f'{_OUR_BLOCK}/downsample/2', NORM, {}),
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
    *decoder_rows(),
    *_RPN_ROWS,
    *_SEMANTIC_ROWS,
    *_BOX_ROWS,
    *mask_rows(_MASK, _STAGE),
  ),
  ignored=(BATCH_COUNTERS,),
)
