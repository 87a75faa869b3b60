"""Tests of the registered experiments and of the files in experiments/."""

import functools
import json
import pathlib
import re

import pytest
import yaml
from official.core import exp_factory

from htc_tf import registry_imports  # noqa: F401
from htc_tf.configs import experiments, model_validation, parsing, validation
from htc_tf.configs import task as task_config
from htc_tf.errors import ConfigError
from htc_tf.tasks.inputs import build_parser

FILES = sorted((pathlib.Path(__file__).parents[2] / 'experiments').glob('*.yaml'))
EXPERIMENTS = {
  'htc_resnet50fpn_1x_coco',
  'htc_resnet50fpn_20e_coco',
  'htc_without_semantic_resnet50fpn_1x_coco',
  'cascade_mask_rcnn_resnet50fpn_1x_coco',
  'cascade_mask_rcnn_resnet50fpn_20e_coco',
  'cascade_mask_rcnn_resnet50fpn_3x_coco',
  'mask_rcnn_resnet50fpn_1x_coco',
  'mask_rcnn_resnet50fpn_2x_coco',
  'mask_rcnn_resnet50fpn_3x_coco',
  'htc_resnetfpn_coco',
  'htc_resnet50fpn_1x_coco_paddle',
  'htc_nuclei',
  'htc_nano',
  'htc_small',
  'htc_base',
  'htc_large',
}
# Box and mask AP of the published models, by the name of the experiment or of the file.
PUBLISHED_AP = {
  'htc_resnet50fpn_1x_coco': ('42.3', '37.4'),
  'htc_resnet50fpn_20e_coco': ('43.3', '38.3'),
  'htc_resnet101fpn_20e_coco': ('44.8', '39.6'),
  'htc_resnext101_32x4d_fpn_20e_coco': ('46.1', '40.5'),
  'htc_resnext101_64x4d_fpn_20e_coco': ('47.0', '41.4'),
  'htc_resnext101_64x4d_dcn_fpn_20e_coco': ('50.4', '43.8'),
  'htc_hrnetv2p_w18_20e_coco': ('42.8', '37.9'),
  'htc_hrnetv2p_w32_20e_coco': ('45.4', '39.9'),
  'htc_hrnetv2p_w40_20e_coco': ('46.4', '40.8'),
  'htc_res2net101_v1d_26w_4s_fpn_20e_coco': ('47.5', '41.6'),
  'htc_resnet50sac_fpn_1x_coco': ('46.4', '40.9'),
  'htc_resnet50_rfp_1x_coco': ('46.6', '40.9'),
  'detectors_htc_resnet50_1x_coco': ('49.1', '42.6'),
  'detectors_htc_resnet101_20e_coco': ('50.5', '43.9'),
  'scnet_resnet50_fpn_1x_coco': ('43.5', '39.2'),
  'scnet_resnet50_fpn_20e_coco': ('44.5', '40.0'),
  'scnet_resnet101_fpn_20e_coco': ('45.8', '40.9'),
  'scnet_resnext101_64x4d_fpn_20e_coco': ('47.5', '42.3'),
  'htc_cbnetv2_swin_base_coco': ('57.9', '50.2'),
  'htc_cbnetv2_swin_base_4conv1fc_coco': ('58.4', '50.7'),
  'htc_cbnetv2_swin_large_4conv1fc_coco': ('59.1', '51.0'),
  'cascade_mask_rcnn_resnet50fpn_1x_coco': ('41.2', '35.9'),
  'cascade_mask_rcnn_resnet50fpn_20e_coco': ('41.9', '36.5'),
  'cascade_mask_rcnn_resnet50fpn_3x_coco': ('44.3', '38.5'),
  'mask_rcnn_resnet50fpn_1x_coco': ('38.2', '34.7'),
  'mask_rcnn_resnet50fpn_2x_coco': ('39.2', '35.4'),
  'mask_rcnn_resnet50fpn_3x_coco': ('40.9', '37.1'),
  'mask_rcnn_resnet101fpn_1x_coco': ('40.0', '36.1'),
  'mask_rcnn_resnext101_32x4d_fpn_1x_coco': ('41.9', '37.5'),
  'mask_rcnn_resnext101_64x4d_fpn_1x_coco': ('42.8', '38.4'),
  'mask_rcnn_resnext101_32x8d_fpn_1x_coco': ('42.8', '38.3'),
  'mask_rcnn_resnext101_32x8d_fpn_ms_1x_coco': ('43.4', '39.0'),
  'mask_rcnn_resnet101fpn_2x_coco': ('40.8', '36.6'),
  'mask_rcnn_resnext101_32x4d_fpn_2x_coco': ('42.2', '37.8'),
  'mask_rcnn_resnext101_64x4d_fpn_2x_coco': ('42.7', '38.1'),
  'mask_rcnn_resnet101fpn_3x_coco': ('42.7', '38.5'),
  'mask_rcnn_resnext101_32x4d_fpn_3x_coco': ('43.6', '39.0'),
  'mask_rcnn_resnext101_64x4d_fpn_3x_coco': ('44.5', '39.7'),
  'mask_rcnn_resnext101_32x8d_fpn_3x_coco': ('44.3', '39.5'),
  'cascade_mask_rcnn_resnet101fpn_1x_coco': ('42.9', '37.3'),
  'cascade_mask_rcnn_resnext101_32x4d_fpn_1x_coco': ('44.3', '38.3'),
  'cascade_mask_rcnn_resnext101_64x4d_fpn_1x_coco': ('45.3', '39.2'),
  'cascade_mask_rcnn_resnet101fpn_20e_coco': ('43.4', '37.8'),
  'cascade_mask_rcnn_resnext101_32x4d_fpn_20e_coco': ('45.0', '39.0'),
  'cascade_mask_rcnn_resnext101_64x4d_fpn_20e_coco': ('45.6', '39.5'),
  'cascade_mask_rcnn_resnet101fpn_3x_coco': ('45.5', '39.6'),
  'cascade_mask_rcnn_resnext101_32x4d_fpn_3x_coco': ('46.3', '40.1'),
  'cascade_mask_rcnn_resnext101_64x4d_fpn_3x_coco': ('46.6', '40.3'),
  'cascade_mask_rcnn_resnext101_32x8d_fpn_3x_coco': ('46.1', '39.9'),
}


def parse(experiment, config_file=(), params_override=()):
  """The experiment that the training command makes of its flags."""
  return parsing.parse(experiment, config_file, params_override).params


def model_of(experiment):
  return exp_factory.get_exp_config(experiment).task.model


def test_the_known_experiments_are_those_of_this_package():
  assert set(parsing.known_experiments()) == EXPERIMENTS


@pytest.mark.parametrize('name', sorted(EXPERIMENTS))
def test_every_experiment_is_valid(name):
  params = parse(name)
  params.task.train_data.input_path = params.task.validation_data.input_path = '/nowhere'
  # The missing records are the first error, hence everything that is checked before them is valid.
  with pytest.raises(ConfigError, match=r'task.train_data.input_path matches no file'):
    validation.validate_experiment(params, 'train_and_eval')
  assert params.task.train_data.is_training and not params.task.validation_data.is_training


def test_the_default_model_is_the_published_htc():
  model = model_of('htc_resnet50fpn_1x_coco')
  assert model.backbone.type == 'published_resnet'
  assert model.backbone.get().as_dict() == {
    'model_id': 50,
    'frozen_stages': 1,
    'norm_eval': True,
    'train_norms': True,
    'width_multiplier': 1.0,
    'groups': 1,
    'base_width': 64,
    'deformable_stages': [],
    'modulated': False,
    'recompute': False,
    'scales': 1,
    'deep_stem': False,
    'avg_down': False,
    'standardized': False,
    'switchable_stages': [],
  }
  stages = model.cascade.stages
  assert [stage.iou_threshold for stage in stages] == [0.5, 0.6, 0.7]
  assert [stage.loss_weight for stage in stages] == [1.0, 0.5, 0.25]
  deviations = [[round(1 / weight, 4) for weight in stage.box_coder_weights] for stage in stages]
  assert deviations == [[0.1, 0.1, 0.2, 0.2], [0.05, 0.05, 0.1, 0.1], [0.033, 0.033, 0.067, 0.067]]
  assert model.cascade.interleaved and model.cascade.mask_information_flow
  assert model.semantic_head.enabled and model.include_mask
  assert model.detection_generator.score_threshold == 0.001


def test_buckets_are_replaced_as_a_whole():
  name = 'htc_resnet50fpn_1x_coco'
  registered = [
    (bucket.height, bucket.width) for bucket in parse(name).task.train_data.parser.buckets
  ]
  assert sorted(registered) == sorted((width, height) for height, width in registered)
  assert not parse(name).task.validation_data.parser.buckets
  for buckets in ([], [{'height': 1344, 'width': 1344}]):
    override = json.dumps({'task': {'train_data': {'parser': {'buckets': buckets}}}})
    parsed = parse(name, params_override=override).task.train_data.parser.buckets
    assert [bucket.as_dict() for bucket in parsed] == buckets


def test_each_variant_has_its_parts():
  without = model_of('htc_without_semantic_resnet50fpn_1x_coco')
  assert not without.semantic_head.enabled and without.cascade.interleaved
  cascade = model_of('cascade_mask_rcnn_resnet50fpn_1x_coco')
  assert len(cascade.cascade.stages) == 3
  mask_rcnn = model_of('mask_rcnn_resnet50fpn_1x_coco')
  assert len(mask_rcnn.cascade.stages) == 1
  assert not mask_rcnn.rpn_sampler.inside_only
  for model in (cascade, mask_rcnn):
    assert not (
      model.semantic_head.enabled
      or model.cascade.interleaved
      or model.cascade.mask_information_flow
    )
  garden = model_of('htc_resnetfpn_coco')
  assert {garden.rpn_head.type, garden.roi_generator.type, garden.roi_aligner.type} == {
    'model_garden'
  }
  assert (garden.backbone.type, garden.decoder.type) == ('resnet', 'fpn')
  params = exp_factory.get_exp_config('htc_resnetfpn_coco')
  assert params.runtime.mixed_precision_dtype == 'bfloat16'
  assert params.task.init_checkpoint.startswith('gs://')


@pytest.mark.parametrize('path', FILES, ids=[path.stem for path in FILES])
def test_a_file_is_valid_and_holds_only_changes(path):
  text = path.read_text(encoding='utf-8')
  experiment = re.search(r'--experiment=(\w+)', text).group(1)
  assert f'--config_file=experiments/{path.name}' in text
  params = parse(experiment, [str(path)])
  model_validation.validate_model(params.task.model)
  build_parser(params.task.train_data, params.task.model, include_mask=True, include_semantic=True)
  registered = exp_factory.get_exp_config(experiment)
  for keys, value in _leaves(yaml.safe_load(text)):
    old = functools.reduce(getattr, keys, registered)
    if isinstance(value, list):
      old = [getattr(item, 'as_dict', lambda item=item: item)() for item in old or ()]
    assert old != value, f'{".".join(keys)} is not changed'


def _leaves(tree, keys=()):
  for key, value in tree.items():
    if isinstance(value, dict):
      yield from _leaves(value, (*keys, key))
    else:
      yield (*keys, key), value


@pytest.mark.parametrize('path', FILES, ids=[path.stem for path in FILES])
def test_a_file_has_a_header_and_changes_neither_hardware_nor_names(path):
  text = path.read_text(encoding='utf-8')
  header = text[: re.search(r'^\w', text, re.MULTILINE).start()]
  assert all(line.startswith('#') for line in header.splitlines())
  assert re.search(r'# Hardware: +\S', header)
  assert set(yaml.safe_load(text)) <= {'task', 'trainer'}  # Flags set the hardware.


@pytest.mark.parametrize('path', FILES, ids=[path.stem for path in FILES])
def test_the_command_of_a_file_starts_from_weights(path):
  header = path.read_text(encoding='utf-8').split('\ntask:')[0]
  # Without them, frozen layers would stay random, and the expected AP would be out of reach.
  assert re.search(r'--weights=\w', header)


@pytest.mark.parametrize('name', sorted(set(PUBLISHED_AP) - EXPERIMENTS))
def test_a_file_of_a_published_model_names_its_result(name):
  (path,) = (path for path in FILES if path.stem == name)
  header = path.read_text(encoding='utf-8').split('task:')[0]
  box, mask = PUBLISHED_AP[name]
  assert f'box AP {box}, mask AP {mask}' in header
  source = 'CBNetV2' if 'cbnetv2' in name else 'mmdetection'
  assert f'published by {source}' in header and 'not measured here' in header


def test_an_experiment_of_a_published_model_names_its_result():
  for name in set(PUBLISHED_AP) & EXPERIMENTS:
    box, mask = PUBLISHED_AP[name]
    assert f'(published: box {box}, mask {mask} AP' in getattr(experiments, name).__doc__


@pytest.mark.parametrize('name', parsing.known_experiments())
def test_published_experiments_choose_and_order_their_data_as_published(name):
  own = ('htc_nano', 'htc_small', 'htc_base', 'htc_large', 'htc_nuclei', 'htc_resnetfpn_coco')
  task = exp_factory.get_exp_config(name).task
  assert task.train_data.published_selection == (name not in own)
  order = task_config.BUFFER if name in own else task_config.PERMUTATION
  assert task.train_data.shuffle == order
  assert not task.validation_data.published_selection
