"""Names of the parts of SCNet that HTC lacks, in checkpoints of mmdetection."""

from htc_tf.convert import transforms as t
from htc_tf.convert.layer_parts import CONV, WEIGHTS
from htc_tf.convert.name_map import ClassAxis, Row, rows

_CONTEXT_CLASSES = ClassAxis('task.model.num_classes', -1, has_background=False)
_HEAD = 'roi_head'


def _residual_rows(source: str, path: str) -> tuple[Row, ...]:
  """Rows of pairs of convolutions with a shortcut."""
  return rows(
    f'{source}.convs.{{block}}.conv{{conv}}', f'{path}/convs/{{block}}/conv{{conv}}', WEIGHTS, CONV
  )


SCNET_ROWS = (
  *_residual_rows(f'{_HEAD}.mask_head', 'cascade/mask_head'),
  *_residual_rows(f'{_HEAD}.semantic_head', 'semantic_head'),
  *_residual_rows(f'{_HEAD}.glbctx_head', 'context_head'),
  *rows(
    f'{_HEAD}.glbctx_head.fc',
    'context_head/logits',
    WEIGHTS,
    {'kernel': (t.LINEAR,)},
    _CONTEXT_CLASSES,
  ),
  *rows(
    f'{_HEAD}.feat_relay_head.fc',
    'cascade/relay/fc',
    WEIGHTS,
    {'kernel': (t.LINEAR, t.FLAT_MAP), 'bias': (t.FLAT_MAP,)},
  ),
)
