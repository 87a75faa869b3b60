"""Tests of the names of Swin transformers, on names as the published checkpoints have them."""

import functools

import numpy as np
import pytest

from htc_tf.convert import conversion
from htc_tf.convert.checkpoint_file import Checkpoint
from htc_tf.convert.mmdet_names import MMDET
from htc_tf.convert.swin_names import MMPRETRAIN_SWIN, SWIN
from htc_tf.errors import CheckpointError
from tests import swin_classifiers, tiny

_NAMES = {
  'backbone.norm3.bias': 'backbone/trunk/norms/3/beta',
  'backbone.cb_modules.0.patch_embed.norm.bias': 'backbone/shared_embed/norm/beta',
  'backbone.cb_modules.1.layers.0.blocks.1.attn.relative_position_bias_table': (
    'backbone/trunks/1/stages/0/blocks/1/attn/table'
  ),
  'backbone.cb_modules.0.layers.3.blocks.0.attn.qkv.weight': (
    'backbone/trunks/0/stages/3/blocks/0/attn/qkv/kernel'
  ),
  'backbone.cb_modules.0.layers.3.blocks.0.mlp.fc2.bias': (
    'backbone/trunks/0/stages/3/blocks/0/fc2/bias'
  ),
  'backbone.cb_modules.1.layers.2.downsample.reduction.weight': (
    'backbone/trunks/1/stages/2/downsample/reduction/kernel'
  ),
  'backbone.cb_modules.1.norm0.weight': 'backbone/trunks/1/norms/0/gamma',
  'backbone.cb_linears.0.3.weight': 'backbone/links/0/2/kernel',
  'backbone.cb_linears.2.1.bias': 'backbone/links/2/0/bias',
  'roi_head.bbox_head.2.shared_convs.3.conv.weight': 'cascade/stages/2/box_head/convs/3/kernel',
  'roi_head.bbox_head.0.shared_convs.1.bn.running_var': (
    'cascade/stages/0/box_head/norms/1/moving_variance'
  ),
}


# Names of mmdetection and of mmpretrain.
_MMDETECTION_NAMES = {
  'backbone.patch_embed.projection.bias': 'backbone/patch_embed/proj/bias',
  'backbone.patch_embed.norm.weight': 'backbone/patch_embed/norm/gamma',
  'backbone.stages.1.blocks.0.norm2.bias': 'backbone/trunk/stages/1/blocks/0/norm2/beta',
  'backbone.stages.2.blocks.5.attn.w_msa.relative_position_bias_table': (
    'backbone/trunk/stages/2/blocks/5/attn/table'
  ),
  'backbone.stages.2.blocks.5.attn.w_msa.qkv.weight': (
    'backbone/trunk/stages/2/blocks/5/attn/qkv/kernel'
  ),
  'backbone.stages.0.blocks.1.attn.w_msa.proj.bias': (
    'backbone/trunk/stages/0/blocks/1/attn/proj/bias'
  ),
  'backbone.stages.3.blocks.1.ffn.layers.0.0.weight': 'backbone/trunk/stages/3/blocks/1/fc1/kernel',
  'backbone.stages.3.blocks.1.ffn.layers.1.bias': 'backbone/trunk/stages/3/blocks/1/fc2/bias',
  'backbone.stages.0.downsample.norm.weight': 'backbone/trunk/stages/0/downsample/norm/gamma',
  'backbone.stages.0.downsample.reduction.weight': (
    'backbone/trunk/stages/0/downsample/reduction/kernel'
  ),
  'backbone.norm3.weight': 'backbone/trunk/norms/3/gamma',
}


@pytest.mark.parametrize('name', _MMDETECTION_NAMES)
def test_names_of_mmdetection_and_mmpretrain_are_translated(name):
  path = _MMDETECTION_NAMES[name]
  assert MMDET.find_path(name).name == path and MMDET.find_source(path).name == name
  assert MMPRETRAIN_SWIN.find_path(name, {path}).name == path
  assert MMPRETRAIN_SWIN.find_source(path).name == name


@pytest.mark.parametrize(
  'name,path',
  [
    ('backbone.patch_embed.proj.weight', 'backbone/patch_embed/proj/kernel'),
    ('backbone.layers.2.blocks.17.norm1.weight', 'backbone/trunk/stages/2/blocks/17/norm1/gamma'),
  ],
)
def test_one_transformer_may_have_the_names_of_the_authors(name, path):
  assert MMDET.find_path(name).name == path


@pytest.mark.parametrize('name', _NAMES)
def test_names_and_paths_are_translated(name):
  assert MMDET.find_path(name).name == _NAMES[name]
  assert MMDET.find_source(_NAMES[name]).name == name


@pytest.mark.parametrize(
  'name', ['layers.0.blocks.1.attn_mask', 'layers.0.blocks.0.attn.relative_position_index']
)
def test_what_the_program_computes_is_ignored(name):
  assert MMDET.ignores(f'backbone.{name}') and MMDET.ignores(f'backbone.cb_modules.1.{name}')


_PARTS_OF_AUTHORS = {
  'backbone.stages': 'backbone.layers',
  'patch_embed.projection.': 'patch_embed.proj.',
  '.attn.w_msa.': '.attn.',
  '.ffn.layers.0.0.': '.mlp.fc1.',
  '.ffn.layers.1.': '.mlp.fc2.',
}


def _of_authors(name):
  return functools.reduce(lambda text, part: text.replace(*part), _PARTS_OF_AUTHORS.items(), name)


def _by_column(name, value):
  """A value of mmdetection as the authors have it, with its channels inside the neighbors."""
  if '.downsample.' not in name:
    return value
  neighbors = value.reshape(*value.shape[:-1], -1, 2, 2)  # [..., C, y, x]
  return np.einsum('...cyx->...xyc', neighbors).reshape(value.shape)


@pytest.mark.parametrize('composite,of_authors', [(True, False), (False, False), (False, True)])
def test_a_model_keeps_its_weights_through_published_names(composite, of_authors):
  config = tiny.model(1, backbone=tiny.COMPOSITE_SWIN, box_head={'num_convs': 1, 'num_fcs': 1})
  config.backbone.published_swin.composite = composite
  model, other = tiny.build(config), tiny.build(config, seed=1)
  rng = np.random.default_rng(0)
  for variable in model.variables:
    variable.assign(rng.normal(size=variable.shape))
  written = conversion.published_weights(model, MMDET)
  assert written['roi_head.bbox_head.0.shared_convs.0.conv.weight'].shape == (256, 8, 3, 3)
  if of_authors:
    renamed = {_of_authors(name): _by_column(name, value) for name, value in written.items()}
    assert len(renamed.keys() - written.keys()) > 50
    written = renamed
  file = Checkpoint(written, 'torch', 'file', '')
  assert conversion.find_name_map(file) is MMDET
  conversion.convert_checkpoint(file, other)
  for variable, copied in zip(model.variables, other.variables):
    np.testing.assert_array_equal(variable, copied, err_msg=variable.name)


@pytest.mark.parametrize('composite', [False, True])
def test_a_classifier_has_the_names_of_the_backbone_without_its_prefix(composite):
  prefix = 'backbone.cb_modules.0.' if composite else 'backbone.'
  for name in swin_classifiers.tensors():
    if SWIN.ignores(name):
      assert name.startswith(('norm.', 'head.')) or MMDET.ignores(prefix + name)
      continue
    expected = MMDET.find_path(prefix + name).name
    assert SWIN.find_path(name, {expected}).name == expected


def test_a_classifier_of_mmpretrain_is_known_by_its_names():
  file = Checkpoint(swin_classifiers.mmpretrain_tensors(), 'torch', 'swin.pth', '')
  assert conversion.find_name_map(file) is MMPRETRAIN_SWIN


def test_a_single_stage_detector_is_no_classifier():
  tensors = {**swin_classifiers.mmpretrain_tensors(), 'bbox_head.retina_cls.bias': np.zeros(1)}
  with pytest.raises(CheckpointError, match='does not hold a known model'):
    conversion.find_name_map(Checkpoint(tensors, 'torch', 'retinanet_swin.pth', ''))


@pytest.mark.parametrize('name', ['backbone.norm.weight', 'head.fc.bias'])
def test_what_no_detector_has_is_ignored(name):
  # mmdetection's converter of the authors' files leaves their last norm under its name.
  assert MMPRETRAIN_SWIN.ignores(name) and not MMPRETRAIN_SWIN.ignores('backbone.norm3.weight')


def test_a_classifier_is_known_by_its_names():
  file = Checkpoint(swin_classifiers.tensors(), 'torch', 'swin.pth', '')
  assert conversion.find_name_map(file) is SWIN


@pytest.mark.parametrize('tensors', [swin_classifiers.tensors, swin_classifiers.mmpretrain_tensors])
def test_the_second_version_of_the_transformer_is_unknown(tensors):
  tensors = {
    name.replace('relative_position_bias_table', 'logit_scale'): value
    for name, value in tensors().items()
  }
  with pytest.raises(CheckpointError, match='does not hold a known model'):
    conversion.find_name_map(Checkpoint(tensors, 'torch', 'swinv2.pth', ''))
