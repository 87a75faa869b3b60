"""Names of mmdetection's checkpoints (2.x and 3.x) and rows that other sources share."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from htc_tf.convert import transforms as t
from htc_tf.convert.hrnet_names import hrfpn_rows, hrnet_rows
from htc_tf.convert.layer_parts import CONV, GROUP_NORM, KERNEL, NORM, WEIGHTS
from htc_tf.convert.name_map import ClassAxis, NameMap, Row, Template, rows
from htc_tf.convert.scnet_names import SCNET_ROWS
from htc_tf.convert.swin_names import COMPUTED, SWIN_ROWS

# A convolution of a backbone; it may be standardized (DetectoRS).
_STANDARDIZED = {**KERNEL, 'weight_gamma': 'weight_gamma', 'weight_beta': 'weight_beta'}
_CONV = {**CONV, 'weight_gamma': (t.PER_CHANNEL,), 'weight_beta': (t.PER_CHANNEL,)}
_SWITCHABLE_PARTS = ('switch', 'pre_context', 'post_context', 'offset_s', 'offset_l')

CLASSES_LAST = ClassAxis('task.model.num_classes', -1)
MASK_CLASSES = ClassAxis('task.model.num_classes', 0, has_background=False)
DELTA_CLASSES = ClassAxis('task.model.num_classes', -1, has_background=False, values_per_class=4)
SEMANTIC_CLASSES = ClassAxis('task.model.semantic_head.num_classes', -1)

_HEAD, _STAGE = 'roi_head', 'cascade/stages/{stage}'
_SEMANTIC = f'{_HEAD}.semantic_head'


def backbone_rows(prefix: str = '', path: str = 'backbone') -> tuple[Row, ...]:
  """Rows of ResNet, ResNeXt and Res2Net with torchvision's names, where torchvision has them.

  The other names (deep stem, scales, deformable or switchable layers) are those of mmdetection. The
  entry `downsample.1.weight` is a norm's, or a convolution's after an average pooling.

  Args:
    prefix: prefix of the published names.
    path: path of the backbone.
  """
  block, our_block = f'{prefix}layer{{layer}}.{{block}}', f'{path}/layer{{layer}}/{{block}}'
  return (
    *_conv_rows(f'{prefix}conv1', f'{path}/conv1'),
    *rows(f'{prefix}bn1', f'{path}/bn1', NORM, {}),
    *_stem_rows(prefix, path),
    *_conv_rows(f'{block}.conv{{conv}}', f'{our_block}/conv{{conv}}'),
    *rows(f'{block}.conv2.conv_offset', f'{our_block}/conv2/conv_offset', WEIGHTS, CONV),
    *_switchable_rows(f'{block}.conv2', f'{our_block}/conv2'),
    *rows(f'{block}.bn{{norm}}', f'{our_block}/bn{{norm}}', NORM, {}),
    *_conv_rows(f'{block}.convs.{{scale}}', f'{our_block}/convs/{{scale}}'),
    *rows(f'{block}.bns.{{scale}}', f'{our_block}/bns/{{scale}}', NORM, {}),
    *_conv_rows(f'{block}.downsample.0', f'{our_block}/downsample/0'),
    *rows(f'{block}.downsample.1', f'{our_block}/downsample/1', NORM, {}),
    *_conv_rows(f'{block}.downsample.1', f'{our_block}/downsample/1'),
    *rows(f'{block}.downsample.2', f'{our_block}/downsample/2', NORM, {}),
    *rows(f'{block}.rfp_conv', f'{our_block}/rfp_conv', WEIGHTS, CONV),
  )


def _conv_rows(source: str, path: str) -> tuple[Row, ...]:
  return rows(source, path, _STANDARDIZED, _CONV)


def _stem_rows(prefix: str, path: str) -> Iterator[Row]:
  """Rows of a deep stem; in the published one, a ReLU follows each convolution and norm."""
  for index in range(3):
    conv, norm = 3 * index, 3 * index + 1
    yield from _conv_rows(f'{prefix}stem.{conv}', f'{path}/stem/{2 * index}')
    yield from rows(f'{prefix}stem.{norm}', f'{path}/stem/{2 * index + 1}', NORM, {})


def _switchable_rows(source: str, path: str) -> Iterator[Row]:
  """Rows of what a switchable convolution has beside its kernel."""
  yield Row(Template(f'{source}.weight_diff'), Template(f'{path}/weight_diff'), (t.CONV,))
  for part in _SWITCHABLE_PARTS:
    yield from rows(f'{source}.{part}', f'{path}/{part}', WEIGHTS, CONV)


def _module_rows(source: str, path: str) -> Iterator[Row]:
  """Rows of a convolution, or of one with a group norm."""
  # The name of the kernel is the same in both: the variables of the model decide.
  yield from rows(f'{source}.conv', path, WEIGHTS, CONV)
  yield from rows(f'{source}.conv', f'{path}/conv', KERNEL, CONV)
  yield from rows(f'{source}.gn', f'{path}/norm', GROUP_NORM, {})


def mask_rows(source: str, path: str) -> tuple[Row, ...]:
  """Rows of a mask head, whose names in mmdetection and laihuihui/htc differ only in the prefix.

  Args:
    source: prefix of the published names, without the last dot.
    path: path of the stage.
  """
  pointwise: dict[str, tuple[t.Step, ...]] = {'kernel': (t.POINTWISE,)}
  return (
    *_module_rows(f'{source}.convs.{{conv}}', f'{path}/mask_head/convs/{{conv}}'),
    *_module_rows(f'{source}.conv_res', f'{path}/mask_head/flow'),
    *rows(f'{source}.upsample', f'{path}/mask_predictor/upsample', WEIGHTS, CONV),
    *rows(
      f'{source}.conv_logits',
      f'{path}/mask_predictor/conv_logits',
      WEIGHTS,
      pointwise,
      MASK_CLASSES,
    ),
  )


def decoder_rows() -> tuple[Row, ...]:
  """Rows of the FPN, which has the same names in mmdetection and laihuihui/htc."""
  return (
    *_module_rows('neck.lateral_convs.{level}', 'decoder/laterals/{level}'),
    *_module_rows('neck.fpn_convs.{level}', 'decoder/outputs/{level}'),
  )


_RECURSION_ROWS = (
  *backbone_rows('neck.rfp_modules.0.', 'decoder/feedback_backbone'),
  *rows('neck.rfp_aspp.aspp.{branch}', 'decoder/pooling/convs/{branch}', WEIGHTS, CONV),
  *rows('neck.rfp_weight', 'decoder/blend', WEIGHTS, CONV),
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


def _box_rows(source: str, path: str, deltas: Sequence[bool]) -> tuple[Row, ...]:
  """Rows of a box head.

  Args:
    source: prefix of the published names, without the last dot.
    path: path of the stage.
    deltas: whether the classes share the box deltas; both if the entries do not tell.
  """
  box_head = f'{path}/box_head'
  return (
    *_module_rows(f'{source}.shared_convs.{{conv}}', f'{box_head}/convs/{{conv}}'),
    *rows(f'{source}.shared_convs.{{conv}}.bn', f'{box_head}/norms/{{conv}}', NORM, {}),
    *rows(
      f'{source}.shared_fcs.0', f'{box_head}/fcs/0', WEIGHTS, {'kernel': (t.LINEAR, t.FLAT_ROI)}
    ),
    *rows(
      f'{source}.shared_fcs.{{fc}}', f'{box_head}/fcs/{{fc}}', WEIGHTS, {'kernel': (t.LINEAR,)}
    ),
    *rows(
      f'{source}.fc_cls',
      f'{box_head}/logits',
      WEIGHTS,
      {'kernel': (t.LINEAR, t.BACKGROUND_FIRST), 'bias': (t.BACKGROUND_FIRST,)},
      CLASSES_LAST,
    ),
    *(row for are_shared in deltas for row in _delta_rows(source, box_head, are_shared)),
  )


def _delta_rows(source: str, box_head: str, class_agnostic: bool) -> tuple[Row, ...]:
  return rows(
    f'{source}.fc_reg',
    f'{box_head}/deltas' if class_agnostic else f'{box_head}/class_deltas',
    WEIGHTS,
    {'kernel': (t.LINEAR, t.YX_DELTAS), 'bias': (t.YX_DELTAS,)},
    None if class_agnostic else DELTA_CLASSES,
  )


# These entries count the training steps of a batch norm; nothing uses them.
BATCH_COUNTERS = r'.*\.num_batches_tracked'


def _name_map(stage: str, path: str, deltas: Sequence[bool]) -> NameMap:
  """The name map of models whose heads have the given names.

  Args:
    stage: end of the published names of the heads of a stage, with the dot before it; '' if there
      is one stage only.
    path: path of the stage.
    deltas: whether the classes share the box deltas; both if the entries do not tell.
  """
  return NameMap(
    'mmdet',
    (
      *backbone_rows('backbone.'),
      *hrnet_rows('backbone.'),
      *SWIN_ROWS,
      *decoder_rows(),
      *hrfpn_rows(),
      *_RECURSION_ROWS,
      *_RPN_ROWS,
      *_SEMANTIC_ROWS,
      *_box_rows(f'{_HEAD}.bbox_head{stage}', path, deltas),
      *mask_rows(f'{_HEAD}.mask_head{stage}', path),
      *SCNET_ROWS,
      *mask_rows(f'{_HEAD}.mask_head', 'cascade'),
    ),
    ignored=(BATCH_COUNTERS, COMPUTED),
  )


_SHARED, _BY_CLASS = (True,), (False,)
MMDET = _name_map('.{stage}', _STAGE, _SHARED)
MMDET_BY_CLASS = _name_map('.{stage}', _STAGE, _BY_CLASS)
# Mask R-CNN, whose heads have no number.
_ONLY_STAGE = 'cascade/stages/0'
MMDET_ONE_STAGE = _name_map('', _ONLY_STAGE, _SHARED)
MMDET_ONE_STAGE_BY_CLASS = _name_map('', _ONLY_STAGE, _BY_CLASS)
# With one class, deltas of each class have the shape of shared ones: the model decides.
_MMDET_ONE_CLASS = _name_map('.{stage}', _STAGE, _SHARED + _BY_CLASS)
_MMDET_ONE_STAGE_ONE_CLASS = _name_map('', _ONLY_STAGE, _SHARED + _BY_CLASS)


def find_mmdet_map(tensors: Mapping[str, np.ndarray]) -> NameMap:
  """The name map of a checkpoint, by the names of its heads and the size of their box deltas.

  Args:
    tensors: entries of the checkpoint by name.
  """
  has_one_stage = f'{_HEAD}.bbox_head.fc_cls.weight' in tensors
  head = f'{_HEAD}.bbox_head.{"" if has_one_stage else "0."}'
  logits, deltas = (tensors.get(f'{head}{name}.weight') for name in ('fc_cls', 'fc_reg'))
  if deltas is not None and deltas.shape[0] != 4:
    return MMDET_ONE_STAGE_BY_CLASS if has_one_stage else MMDET_BY_CLASS
  if logits is not None and logits.shape[0] == 2:
    return _MMDET_ONE_STAGE_ONE_CLASS if has_one_stage else _MMDET_ONE_CLASS
  return MMDET_ONE_STAGE if has_one_stage else MMDET
