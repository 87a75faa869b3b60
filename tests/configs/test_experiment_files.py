"""Tests of the look-up of the files in experiments/, and of what single files select."""

import math
import pathlib
import re

import pytest
import tensorflow as tf
import tf_keras
from official.modeling import optimization

from htc_tf import registry_imports  # noqa: F401
from htc_tf.configs import experiment_files, parsing
from htc_tf.configs import schedule as schedule_lib
from htc_tf.errors import ConfigError
from htc_tf.tasks.inputs import build_parser
from tests import tiny

ROOT = pathlib.Path(__file__).parents[2]


def parse(experiment, config_file=()):
  """The experiment that the training command makes of its flags."""
  return parsing.parse(experiment, config_file).params


def test_a_checkout_has_the_files_beside_the_package():
  path = experiment_files.path_of('htc_resnet101fpn_20e_coco')
  assert pathlib.Path(path) == ROOT / 'experiments' / 'htc_resnet101fpn_20e_coco.yaml'


def test_an_installed_package_has_them_inside(tmp_path, monkeypatch):
  packed = tmp_path / 'htc_tf' / 'experiments'
  packed.mkdir(parents=True)
  (packed / 'some.yaml').touch()
  monkeypatch.setattr(experiment_files, '_FOLDERS', (packed, tmp_path / 'experiments'))
  assert experiment_files.path_of('some') == str(packed / 'some.yaml')


def test_an_unknown_file_is_an_error():
  with pytest.raises(ConfigError, match=r'no experiment file htc_resnet102\.yaml') as error:
    experiment_files.path_of('htc_resnet102')
  assert 'experiments' in str(error.value)


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
  path = experiment_files.path_of(stem)
  backbone = parse('htc_resnet50fpn_20e_coco', [path]).task.model.backbone.get()
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
    name = schedule.format(backbone)
    paths = [experiment_files.path_of(name)] if name not in parsing.known_experiments() else []
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


@pytest.mark.parametrize(
  'stem,rate',
  [
    ('htc_cbnetv2_swin_base_coco', 0.3),
    ('htc_cbnetv2_swin_base_4conv1fc_coco', 0.3),
    ('htc_cbnetv2_swin_large_4conv1fc_coco', 0.2),
  ],
)
def test_the_large_swin_of_cbnetv2_drops_fewer_paths_as_published(stem, rate):
  path = experiment_files.path_of(stem)
  backbone = parse('htc_resnet50fpn_20e_coco', [path]).task.model.backbone.get()
  assert backbone.drop_path_rate == rate


@pytest.mark.parametrize(
  'base, stem, expected',
  [
    ('mask_rcnn_resnet50fpn_1x_coco', 'mask_rcnn_resnext101_32x8d_fpn_1x_coco', False),
    ('mask_rcnn_resnet50fpn_1x_coco', 'mask_rcnn_resnext101_32x8d_fpn_ms_1x_coco', False),
    ('mask_rcnn_resnet50fpn_3x_coco', 'mask_rcnn_resnext101_32x8d_fpn_3x_coco', False),
    (
      'cascade_mask_rcnn_resnet50fpn_3x_coco',
      'cascade_mask_rcnn_resnext101_32x8d_fpn_3x_coco',
      False,
    ),
    ('mask_rcnn_resnet50fpn_1x_coco', 'mask_rcnn_resnext101_32x4d_fpn_1x_coco', True),
  ],
)
def test_only_files_of_32x8d_train_no_norms(base, stem, expected):
  resnet = parse(base, [experiment_files.path_of(stem)]).task.model.backbone.get()
  assert (resnet.train_norms, resnet.norm_eval) == (expected, True)


def test_originals_with_one_image_per_gpu_have_the_mean_of_the_semantic_loss_per_image():
  found = {
    path.stem
    for path in (ROOT / 'experiments').glob('*.yaml')
    if 'semantic_average_per_image: true' in path.read_text()
  }
  assert found == {
    'htc_cbnetv2_swin_base_4conv1fc_coco',
    'htc_cbnetv2_swin_base_coco',
    'htc_cbnetv2_swin_large_4conv1fc_coco',
    'htc_resnext101_32x4d_fpn_20e_coco',
    'htc_resnext101_64x4d_dcn_fpn_20e_coco',
    'htc_resnext101_64x4d_fpn_20e_coco',
  }
  assert not parse('htc_resnet50fpn_20e_coco', []).task.losses.semantic_average_per_image


@pytest.mark.parametrize('width', [18, 32, 40])
def test_files_of_hrnet_train_all_weights_but_no_statistics(width):
  path = experiment_files.path_of(f'htc_hrnetv2p_w{width}_20e_coco')
  model = parse('htc_resnet50fpn_20e_coco', [path]).task.model
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
  path = experiment_files.path_of('htc_res2net101_v1d_26w_4s_fpn_20e_coco')
  backbone = parse('htc_resnet50fpn_20e_coco', [path]).task.model.backbone.get()
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
  path = experiment_files.path_of(stem)
  experiment = re.search(r'--experiment=(\w+)', pathlib.Path(path).read_text('utf-8')).group(1)
  params = parse(experiment, [path])
  model = params.task.model
  backbone = model.backbone.get()
  assert (backbone.model_id, backbone.standardized) == (model_id, True)
  assert (backbone.switchable_stages, model.decoder.type) == (switchable_stages, decoder)
  assert params.trainer.train_steps == -(-117266 // 16) * epochs


def test_the_file_with_deformable_convolutions_trains_at_many_scales():
  path = experiment_files.path_of('htc_resnext101_64x4d_dcn_fpn_20e_coco')
  task = parse('htc_resnet50fpn_20e_coco', [path]).task
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
  path = experiment_files.path_of(f'htc_cbnetv2_swin_{size}_coco')
  task = parse('htc_resnet50fpn_20e_coco', [path]).task
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
  path = experiment_files.path_of('htc_resnet50fpn_swa_coco')
  trainer = parse('htc_resnet50fpn_1x_coco', [path]).trainer
  epoch = trainer.checkpoint_interval
  assert (trainer.train_steps, trainer.max_to_keep) == (12 * epoch, 12)
  optimizer = optimization.OptimizerFactory(trainer.optimizer_config)
  rate = optimizer.build_learning_rate()
  for number, step in ((0, 0), (0, 1000), (0, 7329), (1, 0), (7, 3000), (11, 0), (11, 7329)):
    expected = 0.0002 + (0.02 - 0.0002) * (1 + math.cos(math.pi * step / epoch)) / 2
    actual = float(rate(tf.constant(number * epoch + step, tf.int64)))
    assert abs(actual - expected) < 1e-5, (number, step)
  text = schedule_lib.describe(trainer, 16, schedule_lib.COCO_TRAIN_IMAGES)
  assert 'learning rate along 12 cosines between 0.02 and 0.0002; checkpoint' in text


@pytest.mark.parametrize('size', ['base', 'base_4conv1fc', 'large_4conv1fc'])
def test_files_of_cbnetv2_train_with_adamw_as_published(size):
  path = experiment_files.path_of(f'htc_cbnetv2_swin_{size}_coco')
  params = parse('htc_resnet50fpn_20e_coco', [path])
  config = params.trainer.optimizer_config
  adamw = config.optimizer.get()
  assert config.optimizer.type == 'published_adamw'
  assert (adamw.beta_1, adamw.beta_2, adamw.epsilon, adamw.weight_decay) == (0.9, 0.999, 1e-8, 0.05)
  assert config.learning_rate.get().values == [1e-4, 1e-5, 1e-6]
  assert config.warmup.get().warmup_learning_rate == pytest.approx(1e-3 * 1e-4)
  assert params.task.losses.l2_weight_decay == 0
  optimizer = optimization.OptimizerFactory(config).build_optimizer(0.1)
  heads = {'num_convs': 1, 'num_fcs': 1, 'conv_filters': 8}
  model = tiny.build(tiny.model(backbone=tiny.COMPOSITE_SWIN, box_head=heads))
  norms = [m for m in model.submodules if isinstance(m, tf_keras.layers.LayerNormalization)]
  assert norms
  plain = {variable.name for norm in norms for variable in norm.variables}
  plain |= {v.name for v in model.variables if v.name.endswith('/attn/table:0')}
  names = {variable.name for variable in model.trainable_variables}
  assert {name for name in names if not optimizer.decays(name)} == plain & names


@pytest.mark.parametrize(
  'stem,experiment,short_sides',
  [
    ('mask_rcnn_resnext101_32x8d_fpn_1x_coco', 'mask_rcnn_resnet50fpn_1x_coco', [800]),
    (
      'mask_rcnn_resnext101_32x8d_fpn_ms_1x_coco',
      'mask_rcnn_resnet50fpn_1x_coco',
      [640, 672, 704, 736, 768, 800],
    ),
    ('mask_rcnn_resnext101_32x8d_fpn_3x_coco', 'mask_rcnn_resnet50fpn_3x_coco', None),
    (
      'cascade_mask_rcnn_resnext101_32x8d_fpn_3x_coco',
      'cascade_mask_rcnn_resnet50fpn_3x_coco',
      None,
    ),
  ],
)
def test_files_with_resnext_32x8d_change_the_backbone_and_what_their_names_say(
  stem, experiment, short_sides
):
  task = parse(experiment, [experiment_files.path_of(stem)]).task
  backbone = task.model.backbone.get()
  assert (backbone.model_id, backbone.groups, backbone.base_width) == (101, 32, 8)
  parser = task.train_data.parser
  if short_sides is None:
    assert parser.min_size_range == [640, 800]
  else:
    assert parser.min_sizes == short_sides and not parser.min_size_range
  assert task.validation_data.parser.min_sizes == [800]
