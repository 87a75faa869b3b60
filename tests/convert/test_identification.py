"""Tests of the look-up of the experiment that a published file fits."""

import json
import re

import numpy as np
import pytest

from htc_tf.convert import comparison, conversion, identification, published_files, traits
from htc_tf.convert.checkpoint_file import Checkpoint
from htc_tf.convert.mmdet_names import MMDET
from htc_tf.errors import CheckpointError
from parity.pack import EXTRACT, ZOO_EXTRACT
from tests import swin_classifiers, tiny

# Names of the lists of shapes in the repository to the model with these shapes.
MODELS = {
  EXTRACT / 'mmdet_htc_r50_fpn_1x_coco': 'htc_resnet50fpn_1x_coco',
  EXTRACT / 'mmdet_htc_r101_fpn_20e_coco': 'htc_resnet101fpn_20e_coco',
  EXTRACT / 'mmdet_htc_x101-32x4d_fpn_16xb1-20e_coco': 'htc_resnext101_32x4d_fpn_20e_coco',
  EXTRACT / 'mmdet_htc_x101-64x4d_fpn_16xb1-20e_coco': 'htc_resnext101_64x4d_fpn_20e_coco',
  EXTRACT / 'mmdet_htc_x101-64x4d-dconv-c3-c5_fpn_ms-400-1400-16xb1-20e_coco': (
    'htc_resnext101_64x4d_dcn_fpn_20e_coco'
  ),
  EXTRACT / 'paddle_r50': 'htc_resnet50fpn_1x_coco_paddle',
  ZOO_EXTRACT / 'mask-rcnn_r50_fpn_1x_coco': 'mask_rcnn_resnet50fpn_1x_coco',
  ZOO_EXTRACT / 'cascade-mask-rcnn_r50_fpn_1x_coco': 'cascade_mask_rcnn_resnet50fpn_1x_coco',
  ZOO_EXTRACT / 'scnet_r50_fpn_1x_coco': 'scnet_resnet50_fpn_1x_coco',
  ZOO_EXTRACT / 'htc_hrnetv2p-w18_20e_coco': 'htc_hrnetv2p_w18_20e_coco',
  ZOO_EXTRACT / 'htc_res2net-101_fpn_20e_coco': 'htc_res2net101_v1d_26w_4s_fpn_20e_coco',
  ZOO_EXTRACT / 'detectors_htc-r50_1x_coco': 'detectors_htc_resnet50_1x_coco',
  ZOO_EXTRACT / 'detectors_htc-r101_20e_coco': 'detectors_htc_resnet101_20e_coco',
  ZOO_EXTRACT / 'htc_cbv2_swin_base_4conv1f': 'htc_cbnetv2_swin_base_4conv1fc_coco',
  ZOO_EXTRACT / 'htc_cbv2_swin_large_4conv1f': 'htc_cbnetv2_swin_large_4conv1fc_coco',
}


def stored(path):
  """A checkpoint with the names and shapes of a list, and one element in memory for each."""
  shapes = json.loads(path.with_name(f'{path.name}_shapes.json').read_text(encoding='ascii'))
  tensors = {name: np.broadcast_to(np.zeros((), np.float32), shape) for name, shape in shapes}
  source = 'paddle' if 'paddle' in path.name else 'torch'
  return Checkpoint(tensors, source, 'weights.pth', '0' * 64)


@pytest.fixture(name='content')
def _content(monkeypatch):
  """A function that sets what every file holds."""

  def hold(checkpoint):
    monkeypatch.setattr(identification, 'read_checkpoint', lambda path: checkpoint)

  return hold


@pytest.mark.parametrize('path', MODELS, ids=[path.name for path in MODELS])
def test_a_file_is_found_by_its_names_and_shapes(path, content):
  content(stored(path))
  found = identification.identify('weights.pth')
  assert found.known.model == MODELS[path]
  assert f'names and shapes in the file are those of {MODELS[path]}' in found.reason


def test_models_of_one_network_are_named_with_a_warning_of_the_other_resnet(content):
  content(stored(ZOO_EXTRACT / 'mask-rcnn_r50_fpn_1x_coco'))
  reason = identification.identify('weights.pth').reason
  assert 'mask_rcnn_resnet50fpn_2x_coco, mask_rcnn_resnet50fpn_3x_coco' in reason
  assert 'ResNet of Caffe' in reason


def test_a_refused_file_of_the_same_shapes_is_never_chosen(content, monkeypatch):
  listed = published_files.published_files()
  assert any(known.refused for known in listed)
  refused_first = sorted(listed, key=lambda known: not known.refused)
  monkeypatch.setattr(published_files, 'published_files', lambda: refused_first)
  content(stored(ZOO_EXTRACT / 'mask-rcnn_r50_fpn_1x_coco'))
  assert not identification.identify('weights.pth').known.refused


def test_models_of_one_network_have_one_configuration():
  models = {}
  for known in published_files.published_files():
    traits = identification._traits(known)
    key = (known.source == 'laihuihui/htc', str(traits))
    models.setdefault(key, []).append(known)
  for group in models.values():
    for known in group[1:]:
      chosen = group[0]
      file = next(other.file for other in group if other.model == known.model)
      if known.hash and not known.refused:
        assert identification.check_choice(file, chosen.experiment, chosen.config_paths) == ''


def test_another_number_of_classes_does_not_matter(content):
  checkpoint = stored(EXTRACT / 'mmdet_htc_r50_fpn_1x_coco')
  tensors = {
    name: tensor[:5] if re.search(r'fc_cls|mask_head.*conv_logits', name) else tensor
    for name, tensor in checkpoint.tensors.items()
  }
  content(Checkpoint(tensors, 'torch', 'weights.pth', '0' * 64))
  assert identification.identify('weights.pth').known.model == 'htc_resnet50fpn_1x_coco'


def test_another_network_is_an_error_with_the_nearest_experiments(content):
  content(stored(EXTRACT / 'mmdet_htc-without-semantic_r50_fpn_1x_coco'))
  with pytest.raises(CheckpointError, match='No known experiment') as error:
    identification.identify('weights.pth')
  message = str(error.value)
  assert 'htc_resnet50fpn_1x_coco (semantic branch: no instead of yes)' in message
  assert (
    'cascade_mask_rcnn_resnet50fpn_1x_coco (mask information flow: yes instead of no)' in message
  )
  assert message.count('instead of') <= 5


@pytest.mark.parametrize(
  'tensors,source',
  [
    ({'conv1.weight': np.zeros((64, 3, 7, 7), np.float32)}, 'torchvision'),
    (swin_classifiers.tensors(), 'microsoft/Swin-Transformer'),
  ],
  ids=['resnet', 'swin'],
)
def test_a_classifier_needs_an_experiment(tensors, source, content):
  content(Checkpoint(tensors, 'torch', 'weights.pth', '0' * 64))
  message = rf'classifier \({source}\), which starts the backbone of every experiment that has it'
  with pytest.raises(CheckpointError, match=message):
    identification.identify('weights.pth')


def test_the_hash_in_the_name_comes_first_and_the_file_is_not_read(content):
  content(None)
  found = identification.identify('renamed 9b41b48f.pth')
  assert found.known.config_file == 'htc_resnet101fpn_20e_coco'
  assert 'in the name is that of htc_r101_fpn_20e_coco_20200317-9b41b48f.pth' in found.reason


def test_the_hash_of_the_content_comes_before_its_shapes(content):
  content(Checkpoint({}, 'torch', 'weights.pth', '4af8e66e' + '0' * 56))
  found = identification.identify('weights.pth')
  assert found.known.model == 'cascade_mask_rcnn_resnet50fpn_20e_coco'
  assert 'content has the hash 4af8e66e' in found.reason


def test_a_resnet_of_caffe_is_refused_by_name_and_by_content(content):
  content(Checkpoint({}, 'torch', 'weights.pth', '0ebd1859' + '0' * 56))
  for path in ('mask_rcnn_r50_caffe-0ebd1859.pth', 'weights.pth'):
    with pytest.raises(CheckpointError, match='stride is in the first 1x1 convolution'):
      identification.identify(path)
  with pytest.raises(CheckpointError, match='of Caffe'):
    identification.check_choice('x-0ebd1859.pth', 'mask_rcnn_resnet50fpn_1x_coco', [])


@pytest.mark.parametrize(
  'path,experiment',
  [
    ('htc-7332cf16.pth', 'htc_resnet50fpn_1x_coco'),
    ('htc-7332cf16.pth', 'htc_resnet50fpn_20e_coco'),
    ('htc-00000000.pth', 'mask_rcnn_resnet50fpn_1x_coco'),
    ('htc.pth', 'mask_rcnn_resnet50fpn_1x_coco'),
  ],
)
def test_a_choice_that_agrees_or_cannot_be_judged_gives_no_warning(path, experiment):
  assert identification.check_choice(path, experiment, []) == ''


def test_a_choice_that_contradicts_the_name_gives_a_warning_with_both():
  warning = identification.check_choice('htc-9b41b48f.pth', 'htc_resnet50fpn_20e_coco', [])
  assert 'htc_r101_fpn_20e_coco_20200317-9b41b48f.pth' in warning
  assert '--config_file=experiments/htc_resnet101fpn_20e_coco.yaml' in warning
  assert '--experiment=htc_resnet50fpn_20e_coco, is another one' in warning
  assert 'backbone.published_resnet.model_id of task.model' in warning


@pytest.mark.parametrize(
  'overrides,parts',
  [
    ({}, []),
    ({'decoder': {'published_fpn': {'norm_groups': 2}}}, ['decoder']),
    ({'mask_head': {'norm_groups': 2}}, ['mask head']),
    ({'box_head': {'num_convs': 1, 'num_fcs': 1, 'norm_groups': 32}}, ['box head']),
  ],
)
def test_the_names_in_a_file_tell_its_group_norms(overrides, parts):
  model = tiny.build(tiny.model(**overrides))
  file = Checkpoint(conversion.published_weights(model, MMDET), 'torch', 'weights.pth', '')
  found = traits.of_variables(comparison.shapes_by_path(MMDET, file.tensors))
  assert found.rest['group norms'] == parts


def test_a_network_whose_published_file_reads_bgr_comes_with_a_warning():
  files = {known.config: known for known in published_files.published_files()}
  of_bgr, of_rgb = (files[f'mask-rcnn_x101-{kind}_fpn_1x_coco'] for kind in ('32x8d', '32x4d'))
  assert 'wrong results if it were trained on BGR' in identification._choice([of_bgr])
  assert 'BGR' not in identification._choice([of_rgb])
