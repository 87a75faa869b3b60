"""Names of Swin transformers: in checkpoints of mmdetection 2.x and in ImageNet classifiers.

Both, and CBNetV2's composite, have the names of the transformer's authors; the transformer that
mmdetection 3.x has has others.
"""

from htc_tf.convert import transforms as t
from htc_tf.convert.name_map import NameMap, Row, rows

_WEIGHTS = {'weight': 'kernel', 'bias': 'bias'}
_LAYER_NORM = {'weight': 'gamma', 'bias': 'beta'}
_CONV = {'kernel': (t.CONV,)}
_LINEAR = {'kernel': (t.LINEAR,)}
_TABLE = {'relative_position_bias_table': 'table'}


def _trunk_rows(source: str, path: str) -> tuple[Row, ...]:
  """Rows of the stages of one transformer.

  Args:
    source: prefix of the published names, with the last dot.
    path: path of the trunk.
  """
  stage, our_stage = f'{source}layers.{{stage}}', f'{path}/stages/{{stage}}'
  block, our_block = f'{stage}.blocks.{{block}}', f'{our_stage}/blocks/{{block}}'
  return (
    *rows(f'{block}.norm1', f'{our_block}/norm1', _LAYER_NORM, {}),
    *rows(f'{block}.attn', f'{our_block}/attn', _TABLE, {}),
    *rows(f'{block}.attn.qkv', f'{our_block}/attn/qkv', _WEIGHTS, _LINEAR),
    *rows(f'{block}.attn.proj', f'{our_block}/attn/proj', _WEIGHTS, _LINEAR),
    *rows(f'{block}.norm2', f'{our_block}/norm2', _LAYER_NORM, {}),
    *rows(f'{block}.mlp.fc1', f'{our_block}/fc1', _WEIGHTS, _LINEAR),
    *rows(f'{block}.mlp.fc2', f'{our_block}/fc2', _WEIGHTS, _LINEAR),
    *rows(f'{stage}.downsample.norm', f'{our_stage}/downsample/norm', _LAYER_NORM, {}),
    *rows(
      f'{stage}.downsample.reduction',
      f'{our_stage}/downsample/reduction',
      {'weight': 'kernel'},
      _LINEAR,
    ),
    *rows(f'{source}norm{{stage}}', f'{path}/norms/{{stage}}', _LAYER_NORM, {}),
  )


def _embedding_rows(source: str, path: str) -> tuple[Row, ...]:
  """Rows of a patch embedding; arguments as for `_trunk_rows`."""
  return (
    *rows(f'{source}patch_embed.proj', f'{path}/proj', _WEIGHTS, _CONV),
    *rows(f'{source}patch_embed.norm', f'{path}/norm', _LAYER_NORM, {}),
  )


_COMPOSITE = 'backbone.cb_modules.'

SWIN_ROWS = (
  *_embedding_rows('backbone.', 'backbone/patch_embed'),
  *_trunk_rows('backbone.', 'backbone/trunk'),
  # The second transformer has no embedding of its own.
  *_embedding_rows(f'{_COMPOSITE}0.', 'backbone/shared_embed'),
  *_trunk_rows(f'{_COMPOSITE}{{member}}.', 'backbone/trunks/{member}'),
  *rows(
    'backbone.cb_linears.{level}.{deeper:from1}',
    'backbone/links/{level}/{deeper}',
    _WEIGHTS,
    _CONV,
  ),
)

# The program computes these from the size of the window and of the picture.
COMPUTED = r'.*\.(relative_position_index|attn_mask)'

# ImageNet classifiers, as the transformer's authors publish them. They fill a transformer, or the
# first one of a composite, whose values `classifier_start` gives the second one.
SWIN = NameMap(
  'microsoft/Swin-Transformer',
  (
    *_embedding_rows('', 'backbone/patch_embed'),
    *_trunk_rows('', 'backbone/trunk'),
    *_embedding_rows('', 'backbone/shared_embed'),
    *_trunk_rows('', 'backbone/trunks/0'),
  ),
  # The norm and the linear layer after the last stage.
  ignored=(COMPUTED, r'(norm|head)\..*'),
  parts=('backbone',),
  # The norms of the outputs and the links of a composite are new in a detector.
  optional=(r'.*/norms/.*', 'backbone/links/.*', 'backbone/trunks/1/.*'),
)
