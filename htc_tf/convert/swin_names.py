"""Names of Swin transformers: in checkpoints of mmdetection and in ImageNet classifiers.

CBNetV2's composite has the names of the transformer's authors. mmdetection and mmpretrain have
others, and they merge four neighbors in another order.
"""

from collections.abc import Sequence
from typing import NamedTuple

from htc_tf.convert import transforms as t
from htc_tf.convert.name_map import NameMap, Row, rows

_WEIGHTS = {'weight': 'kernel', 'bias': 'bias'}
_LAYER_NORM = {'weight': 'gamma', 'bias': 'beta'}
_CONV = {'kernel': (t.CONV,)}
_LINEAR = {'kernel': (t.LINEAR,)}
_TABLE = {'relative_position_bias_table': 'table'}


class _Names(NamedTuple):
  """The parts of published names that differ, and the steps of merged neighbors.

  Attributes:
    stage: name of a stage, with the field `stage`.
    attention: name of the self-attention of a block.
    hidden: names of both linear layers of a block.
    projection: name of the convolution of the patch embedding.
    merged: steps of the channels of four merged neighbors, which are the last axis.
  """

  stage: str
  attention: str
  hidden: tuple[str, str]
  projection: str
  merged: tuple[t.Step, ...]


_OF_AUTHORS = _Names('layers.{stage}', 'attn', ('mlp.fc1', 'mlp.fc2'), 'proj', ())
_OF_MMPRETRAIN = _Names(
  'stages.{stage}',
  'attn.w_msa',
  ('ffn.layers.0.0', 'ffn.layers.1'),
  'projection',
  (t.MERGED,),
)


def _trunk_rows(source: str, path: str, names: _Names = _OF_AUTHORS) -> tuple[Row, ...]:
  """Rows of the stages of one transformer.

  Args:
    source: prefix of the published names, with the last dot.
    path: path of the trunk.
    names: the parts of the names that differ.
  """
  stage, our_stage = f'{source}{names.stage}', f'{path}/stages/{{stage}}'
  block, our_block = f'{stage}.blocks.{{block}}', f'{our_stage}/blocks/{{block}}'
  attention = f'{block}.{names.attention}'
  merged = dict.fromkeys(('gamma', 'beta'), names.merged)
  return (
    *rows(f'{block}.norm1', f'{our_block}/norm1', _LAYER_NORM, {}),
    *rows(attention, f'{our_block}/attn', _TABLE, {}),
    *rows(f'{attention}.qkv', f'{our_block}/attn/qkv', _WEIGHTS, _LINEAR),
    *rows(f'{attention}.proj', f'{our_block}/attn/proj', _WEIGHTS, _LINEAR),
    *rows(f'{block}.norm2', f'{our_block}/norm2', _LAYER_NORM, {}),
    *rows(f'{block}.{names.hidden[0]}', f'{our_block}/fc1', _WEIGHTS, _LINEAR),
    *rows(f'{block}.{names.hidden[1]}', f'{our_block}/fc2', _WEIGHTS, _LINEAR),
    *rows(f'{stage}.downsample.norm', f'{our_stage}/downsample/norm', _LAYER_NORM, merged),
    *rows(
      f'{stage}.downsample.reduction',
      f'{our_stage}/downsample/reduction',
      {'weight': 'kernel'},
      {'kernel': (*names.merged, t.LINEAR)},
    ),
    *rows(f'{source}norm{{stage}}', f'{path}/norms/{{stage}}', _LAYER_NORM, {}),
  )


def _embedding_rows(source: str, path: str, names: _Names = _OF_AUTHORS) -> tuple[Row, ...]:
  """Rows of a patch embedding; arguments as for `_trunk_rows`."""
  return (
    *rows(f'{source}patch_embed.{names.projection}', f'{path}/proj', _WEIGHTS, _CONV),
    *rows(f'{source}patch_embed.norm', f'{path}/norm', _LAYER_NORM, {}),
  )


_COMPOSITE = 'backbone.cb_modules.'

SWIN_ROWS = (
  # The first rows of a variable are those that published weights are written with.
  *_embedding_rows('backbone.', 'backbone/patch_embed', _OF_MMPRETRAIN),
  *_trunk_rows('backbone.', 'backbone/trunk', _OF_MMPRETRAIN),
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

# The norms of the outputs and the links of a composite are new in a detector.
_NEW_IN_DETECTORS = (r'.*/norms/.*', 'backbone/links/.*', 'backbone/trunks/1/.*')


def _classifier_map(source: str, prefix: str, names: _Names, ignored: Sequence[str]) -> NameMap:
  """The name map of ImageNet classifiers.

  They fill a transformer, or the first one of a composite, whose values `classifier_start` gives
  the second one.

  Args:
    source: the publisher.
    prefix: prefix of the published names of the transformer, with the last dot.
    names: the parts of the names that differ.
    ignored: entries of the classifier that no detector has.
  """
  return NameMap(
    source,
    (
      *_embedding_rows(prefix, 'backbone/patch_embed', names),
      *_trunk_rows(prefix, 'backbone/trunk', names),
      *_embedding_rows(prefix, 'backbone/shared_embed', names),
      *_trunk_rows(prefix, 'backbone/trunks/0', names),
    ),
    ignored=(COMPUTED, *ignored),
    parts=('backbone',),
    optional=_NEW_IN_DETECTORS,
  )


# The norm and the linear layer after the last stage have no place in a detector.
SWIN = _classifier_map('microsoft/Swin-Transformer', '', _OF_AUTHORS, (r'(norm|head)\..*',))
# Here, the norm after the last stage has the name of that of a detector's last output, and
# mmdetection fills that one with it.
MMPRETRAIN_SWIN = _classifier_map(
  'mmpretrain', 'backbone.', _OF_MMPRETRAIN, (r'(backbone\.norm|head)\..*',)
)
