"""Tests of the registered experiments and of the files in experiments/."""

import functools
import json
import math
import pathlib
import re

import pytest
import tensorflow as tf
import yaml
from official.core import exp_factory
from official.modeling import optimization
from official.modeling.optimization import OptimizerFactory

from htc_tf import registry_imports  # noqa: F401
from htc_tf.configs import experiments, model_validation, parsing, schedule, validation
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
  'mask_rcnn_resnet101fpn_2x_coco': ('40.8', '36.6'),
  'mask_rcnn_resnext101_32x4d_fpn_2x_coco': ('42.2', '37.8'),
  'mask_rcnn_resnext101_64x4d_fpn_2x_coco': ('42.7', '38.1'),
  'mask_rcnn_resnet101fpn_3x_coco': ('42.7', '38.5'),
  'mask_rcnn_resnext101_32x4d_fpn_3x_coco': ('43.6', '39.0'),
  'mask_rcnn_resnext101_64x4d_fpn_3x_coco': ('44.5', '39.7'),
  'cascade_mask_rcnn_resnet101fpn_1x_coco': ('42.9', '37.3'),
  'cascade_mask_rcnn_resnext101_32x4d_fpn_1x_coco': ('44.3', '38.3'),
  'cascade_mask_rcnn_resnext101_64x4d_fpn_1x_coco': ('45.3', '39.2'),
  'cascade_mask_rcnn_resnet101fpn_20e_coco': ('43.4', '37.8'),
  'cascade_mask_rcnn_resnext101_32x4d_fpn_20e_coco': ('45.0', '39.0'),
  'cascade_mask_rcnn_resnext101_64x4d_fpn_20e_coco': ('45.6', '39.5'),
  'cascade_mask_rcnn_resnet101fpn_3x_coco': ('45.5', '39.6'),
  'cascade_mask_rcnn_resnext101_32x4d_fpn_3x_coco': ('46.3', '40.1'),
  'cascade_mask_rcnn_resnext101_64x4d_fpn_3x_coco': ('46.6', '40.3'),
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
    'width_multiplier': 1.0,
    'groups': 1,
    'base_width': 64,
    'deformable_stages': [],
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


@pytest.mark.parametrize(
  'stem,expected',
  [
    ('htc_resnet101fpn_20e_coco', (101, 1, 64, [])),
    ('htc_resnext101_32x4d_fpn_20e_coco', (101, 32, 4, [])),
    ('htc_resnext101_64x4d_fpn_20e_coco', (101, 64, 4, [])),
    ('htc_resnext101_64x4d_dcn_fpn_20e_coco', (101, 64, 4, [2, 3, 4])),
  ],
)
def test_files_select_other_backbones(stem, expected):
  path = next(path for path in FILES if path.stem == stem)
  backbone = parse('htc_resnet50fpn_20e_coco', [str(path)]).task.model.backbone.get()
  assert (
    backbone.model_id,
    backbone.groups,
    backbone.base_width,
    backbone.deformable_stages,
  ) == expected


@pytest.mark.parametrize(
  'schedule,epochs,milestones,short_sides',
  [
    ('cascade_mask_rcnn_{}_1x_coco', 12, (8, 11), None),
    ('cascade_mask_rcnn_{}_20e_coco', 20, (16, 19), None),
    ('cascade_mask_rcnn_{}_3x_coco', 36, (27, 33), [640, 800]),
    ('mask_rcnn_{}_1x_coco', 12, (8, 11), None),
    ('mask_rcnn_{}_2x_coco', 24, (16, 22), None),
    ('mask_rcnn_{}_3x_coco', 36, (27, 33), [640, 800]),
  ],
)
def test_mask_rcnn_and_cascade_have_four_backbones_with_each_schedule(
  schedule, epochs, milestones, short_sides
):
  experiment = schedule.format('resnet50fpn')
  for backbone, expected in (
    ('resnet50fpn', (50, 1, 64)),
    ('resnet101fpn', (101, 1, 64)),
    ('resnext101_32x4d_fpn', (101, 32, 4)),
    ('resnext101_64x4d_fpn', (101, 64, 4)),
  ):
    paths = [str(path) for path in FILES if path.stem == schedule.format(backbone)]
    params = parse(experiment, paths)
    model, parser = params.task.model, params.task.train_data.parser
    resnet = model.backbone.get()
    assert (resnet.model_id, resnet.groups, resnet.base_width) == expected
    assert len(model.cascade.stages) == (1 if experiment.startswith('mask') else 3)
    assert model.box_head.class_agnostic == experiment.startswith('cascade')
    assert params.trainer.train_steps == epochs * 7330
    boundaries = params.trainer.optimizer_config.learning_rate.stepwise.boundaries
    assert boundaries == [milestone * 7330 for milestone in milestones]
    assert (parser.min_size_range or None, parser.max_size) == (short_sides, 1333)


@pytest.mark.parametrize('width', [18, 32, 40])
def test_files_of_hrnet_train_all_weights_but_no_statistics(width):
  path = next(path for path in FILES if path.stem == f'htc_hrnetv2p_w{width}_20e_coco')
  model = parse('htc_resnet50fpn_20e_coco', [str(path)]).task.model
  assert (model.backbone.type, model.decoder.type) == ('published_hrnet', 'published_hrfpn')
  assert model.backbone.get().as_dict() == {
    'width': width,
    'num_modules': [1, 4, 3],
    'num_blocks': 4,
    'stem_filters': 64,
    'frozen_stages': -1,
    'norm_eval': True,
    'recompute': False,
  }
  assert (model.decoder.get().num_filters, model.size_divisor) == (256, 32)


def test_the_file_of_res2net_selects_its_blocks_and_stem():
  path = next(path for path in FILES if path.stem == 'htc_res2net101_v1d_26w_4s_fpn_20e_coco')
  backbone = parse('htc_resnet50fpn_20e_coco', [str(path)]).task.model.backbone.get()
  assert (backbone.model_id, backbone.base_width, backbone.scales) == (101, 26, 4)
  assert backbone.deep_stem and backbone.avg_down


@pytest.mark.parametrize(
  'stem,model_id,switchable_stages,decoder,epochs',
  [
    ('htc_resnet50sac_fpn_1x_coco', 50, [2, 3, 4], 'published_fpn', 12),
    ('htc_resnet50_rfp_1x_coco', 50, [], 'recursive_fpn', 12),
    ('detectors_htc_resnet50_1x_coco', 50, [2, 3, 4], 'recursive_fpn', 12),
    ('detectors_htc_resnet101_20e_coco', 101, [2, 3, 4], 'recursive_fpn', 20),
  ],
)
def test_files_of_detectors_select_its_parts(stem, model_id, switchable_stages, decoder, epochs):
  path = next(path for path in FILES if path.stem == stem)
  experiment = re.search(r'--experiment=(\w+)', path.read_text(encoding='utf-8')).group(1)
  params = parse(experiment, [str(path)])
  model = params.task.model
  backbone = model.backbone.get()
  assert (backbone.model_id, backbone.standardized) == (model_id, True)
  assert (backbone.switchable_stages, model.decoder.type) == (switchable_stages, decoder)
  assert params.trainer.train_steps == -(-117266 // 16) * epochs


def test_the_file_with_deformable_convolutions_trains_at_many_scales():
  path = next(path for path in FILES if path.stem == 'htc_resnext101_64x4d_dcn_fpn_20e_coco')
  task = parse('htc_resnet50fpn_20e_coco', [str(path)]).task
  assert (task.train_data.parser.min_size_range, task.train_data.parser.max_size) == (
    [400, 1400],
    1600,
  )
  assert (task.validation_data.parser.min_sizes, task.validation_data.parser.max_size) == (
    [800],
    1333,
  )
  parsers = [
    build_parser(data, task.model, True, True) for data in (task.train_data, task.validation_data)
  ]
  assert parsers[0]._min_sizes == tuple(range(400, 1401))
  assert parsers[1]._min_sizes == (800,)
  assert all(max(bucket.height, bucket.width) <= 1600 for bucket in task.train_data.parser.buckets)
  assert (1600, 1600) in [(b.height, b.width) for b in task.train_data.parser.buckets]


@pytest.mark.parametrize(
  'size,channels,heads',
  [('base', 128, 0), ('base_4conv1fc', 128, 4), ('large_4conv1fc', 192, 4)],
)
def test_files_of_cbnetv2_select_its_backbone_heads_and_losses(size, channels, heads):
  path = next(path for path in FILES if path.stem == f'htc_cbnetv2_swin_{size}_coco')
  task = parse('htc_resnet50fpn_20e_coco', [str(path)]).task
  backbone = task.model.backbone.get()
  assert (backbone.embed_dim, backbone.depths, backbone.composite) == (
    channels,
    [2, 2, 18, 2],
    True,
  )
  assert (task.model.box_head.num_convs, task.model.box_head.num_fcs) == (heads, 1 if heads else 2)
  assert task.model.detection_generator.nms == 'linear'
  kind = ('giou', 10.0) if heads else ('smooth_l1', 1.0)
  assert (task.losses.box_kind, task.losses.box_weight) == kind


def test_the_file_for_stochastic_weight_averaging_has_a_cosine_in_each_epoch():
  """The rate of mmcv's cyclic policy without a rise, from 0.02 to a hundredth of it."""
  path = next(path for path in FILES if path.stem == 'htc_resnet50fpn_swa_coco')
  trainer = parse('htc_resnet50fpn_1x_coco', [str(path)]).trainer
  epoch = trainer.checkpoint_interval
  assert (trainer.train_steps, trainer.max_to_keep) == (12 * epoch, 12)
  optimizer = optimization.OptimizerFactory(trainer.optimizer_config)
  rate = optimizer.build_learning_rate()
  for number, step in ((0, 0), (0, 1000), (0, 7329), (1, 0), (7, 3000), (11, 0), (11, 7329)):
    expected = 0.0002 + (0.02 - 0.0002) * (1 + math.cos(math.pi * step / epoch)) / 2
    actual = float(rate(tf.constant(number * epoch + step, tf.int64)))
    assert abs(actual - expected) < 1e-5, (number, step)
  text = schedule.describe(trainer, 16, schedule.COCO_TRAIN_IMAGES)
  assert 'learning rate along 12 cosines between 0.02 and 0.0002; checkpoint' in text


@pytest.mark.parametrize('size', ['base', 'base_4conv1fc', 'large_4conv1fc'])
def test_files_of_cbnetv2_train_with_adamw_as_published(size):
  path = next(path for path in FILES if path.stem == f'htc_cbnetv2_swin_{size}_coco')
  params = parse('htc_resnet50fpn_20e_coco', [str(path)])
  config = params.trainer.optimizer_config
  adamw = config.optimizer.get()
  assert config.optimizer.type == 'published_adamw'
  assert (adamw.beta_1, adamw.beta_2, adamw.epsilon, adamw.weight_decay) == (0.9, 0.999, 1e-8, 0.05)
  assert config.learning_rate.get().values == [1e-4, 1e-5, 1e-6]
  assert config.warmup.get().warmup_learning_rate == pytest.approx(1e-3 * 1e-4)
  assert params.task.losses.l2_weight_decay == 0
  optimizer = OptimizerFactory(config).build_optimizer(0.1)
  names = {
    'cb_modules/0/layers/0/blocks/0/attn/table:0': False,
    'cb_modules/0/layers/0/blocks/0/norm1/gamma:0': False,
    'cb_modules/1/layers/1/downsample/norm/beta:0': False,
    'cb_modules/0/layers/0/blocks/0/attn/qkv/bias:0': True,
    'conv_box_head/shared_convs/0/bn/gamma:0': True,
  }
  assert {name: optimizer.decays(name) for name in names} == names


@pytest.mark.parametrize('name', parsing.known_experiments())
def test_published_experiments_choose_their_data_as_published(name):
  own = ('htc_nano', 'htc_small', 'htc_base', 'htc_large', 'htc_nuclei', 'htc_resnetfpn_coco')
  task = exp_factory.get_exp_config(name).task
  assert task.train_data.published_selection == (name not in own)
  assert not task.validation_data.published_selection
