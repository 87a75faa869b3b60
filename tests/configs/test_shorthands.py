"""Tests of the flags that stand for several values of the configuration."""

import logging

import pytest
import yaml

from htc_tf.configs import parsing, shorthands, sizes, validation
from htc_tf.configs.shorthands import Shorthands
from htc_tf.data.sample_format import SampleFormat
from htc_tf.errors import ConfigError
from tests import tiny_records
from tests.configs import resolution
from tests.reports import shown_records


@pytest.fixture(scope='module')
def data_without_val(tmp_path_factory):
  folder = tmp_path_factory.mktemp('own')
  tiny_records.write(folder)
  return str(folder / 'records')


@pytest.mark.parametrize('size', sizes.SIZES)
def test_every_size_is_a_valid_experiment_for_the_data(data, size):
  params = resolution.resolve(Shorthands(data=data, size=size, epochs=3))
  validation.validate_experiment(params, 'train_and_eval')
  assert params.task.model.num_classes == 3
  batch = sizes.SIZES[size].batch_size
  assert params.trainer.train_steps == 3 * -(-4 // batch)
  assert params.trainer.validation_interval == -(-4 // batch)
  assert params.trainer.best_checkpoint_export_subdir == 'best'
  assert params.trainer.patience == 50


def test_a_size_is_chosen_if_none_is_named(data):
  assert shorthands.experiment_name(Shorthands(data=data), None) == 'htc_small'


@pytest.mark.parametrize('size', ['base', 'large'])
def test_published_sizes_train_all_norms_if_weights_are_random(data, size, caplog):
  with caplog.at_level(logging.WARNING):
    params = resolution.resolve(Shorthands(data=data, size=size))
  backbone = params.task.model.backbone.published_resnet
  assert (backbone.frozen_stages, backbone.norm_eval) == (-1, False)
  warnings = [line for line in caplog.messages if 'too few' in line]
  assert len(warnings) == 1
  assert '4 training images' in warnings[0] and '--weights=FILE' in warnings[0]


@pytest.mark.parametrize('by_flag', [True, False])
def test_published_sizes_keep_their_norms_with_weights(data, by_flag, caplog):
  flags = Shorthands(data=data, size='base', weights='w.pth' if by_flag else None)
  override = '' if by_flag else 'task.init_checkpoint=w.pth'
  with caplog.at_level(logging.WARNING):
    params = resolution.resolve(flags, params_override=override)
  backbone = params.task.model.backbone.published_resnet
  assert (backbone.frozen_stages, backbone.norm_eval) == (1, True)
  assert params.task.init_checkpoint == 'w.pth'
  assert params.task.model.anchor.scale == 8.0
  assert not caplog.messages


@pytest.mark.parametrize(
  'experiment, trained, scale',
  [
    (None, None, 2.0),  # A backbone alone: the data decide.
    (None, 4.0, 4.0),
    (None, 8.0, 8.0),
    ('htc_resnet50fpn_1x_coco', None, 8.0),  # A named experiment has anchors of its own.
    ('htc_resnet50fpn_1x_coco', 4.0, 4.0),
  ],
)
def test_anchors_are_those_of_the_rpn_in_the_weights(data, experiment, trained, scale):
  flags = Shorthands(data=data, weights='w.pth', image_size=8)
  asked = []

  def trained_scale(path, default):
    asked.append((path, default))
    return trained

  params = resolution.resolve(flags, experiment, trained_scale=trained_scale)
  assert params.task.model.anchor.scale == scale
  assert asked == [('w.pth', 8.0)]


@pytest.mark.parametrize('sample_format', [SampleFormat(1, 8), SampleFormat(4, 16)])
def test_a_stem_of_other_channels_is_trained(sample_format, tmp_path, caplog):
  data = str(shown_records.write(tmp_path, sample_format=sample_format))
  caplog.set_level(logging.INFO, logger='absl')
  by_size = Shorthands(data=data, size='base', weights='w.pth')
  by_name = {'experiment': 'htc_resnet50fpn_1x_coco', 'params_override': 'task.init_checkpoint=w'}
  for params in (resolution.resolve(by_size), resolution.resolve(Shorthands(data=data), **by_name)):
    backbone = params.task.model.backbone.published_resnet
    assert (backbone.frozen_stages, backbone.norm_eval) == (-1, True)
  lines = [line for line in caplog.messages if 'frozen_stages=-1' in line]
  words = 'one channel' if sample_format.num_channels == 1 else '4 channels'
  assert len(lines) == 2 and words in lines[0] and 'in the place of 1' in lines[0]


def test_a_stem_that_is_frozen_on_purpose_stays_so(tmp_path, caplog):
  caplog.set_level(logging.INFO, logger='absl')
  data = str(shown_records.write(tmp_path, sample_format=SampleFormat(4, 16)))
  key = 'task.model.backbone.published_resnet.frozen_stages'
  flags = Shorthands(data=data, size='base', weights='w.pth')
  params = resolution.resolve(flags, params_override=f'{key}=0')
  assert params.task.model.backbone.published_resnet.frozen_stages == 0
  assert 'frozen_stages=-1' not in caplog.text


def test_overrides_and_files_come_after_the_shorthands(data, tmp_path):
  (tmp_path / 'a.yaml').write_text('trainer: {validation_interval: 7}', encoding='utf-8')
  params = resolution.resolve(
    Shorthands(data=data, size='nano'),
    config_files=[str(tmp_path / 'a.yaml')],
    params_override='task.model.mask_head.num_convs=1,trainer.train_steps=5',
  )
  assert params.trainer.validation_interval == 7
  assert params.trainer.train_steps == 5
  assert params.task.model.mask_head.num_convs == 1


def test_an_image_size_scales_short_and_long_side(data):
  parser = resolution.resolve(
    Shorthands(data=data, size='base', image_size=640)
  ).task.train_data.parser
  assert (list(parser.min_sizes), parser.max_size) == ([384], 640)
  assert [(b.height, b.width) for b in parser.buckets] == [(384, 384)]


def test_a_published_experiment_is_fitted_to_the_data_too(data):
  params = resolution.resolve(
    Shorthands(data=data, epochs=24, weights='w.pth'), 'htc_resnet50fpn_1x_coco'
  )
  assert params.task.model.num_classes == 3
  assert params.trainer.train_steps == 24  # One step of 16 images per epoch.
  rate = params.trainer.optimizer_config.learning_rate.stepwise
  assert list(rate.boundaries) == [16, 22]
  assert params.trainer.optimizer_config.warmup.linear.warmup_steps == 2
  validation.validate_experiment(params, 'train_and_eval')


@pytest.mark.parametrize(
  'experiment', ['htc_without_semantic_resnet50fpn_1x_coco', 'mask_rcnn_resnet50fpn_1x_coco']
)
def test_data_add_no_semantic_branch_to_an_experiment_without_one(data, experiment):
  params = resolution.resolve(Shorthands(data=data, epochs=1), experiment)
  assert not params.task.model.semantic_head.enabled
  validation.validate_experiment(params, 'train_and_eval')


def test_parts_of_model_garden_get_one_padded_size_for_all_images(tmp_path):
  """They need a static size, also for images of both orientations."""
  tiny_records.write(tmp_path, sizes=((64, 96), (96, 64)))
  tiny_records.write(tmp_path, 'val', 1)
  params = resolution.resolve(
    Shorthands(data=str(tmp_path / 'records'), epochs=1), 'htc_resnetfpn_coco'
  )
  buckets = params.task.train_data.parser.buckets
  assert [(bucket.height, bucket.width) for bucket in buckets] == [(192, 192)]
  validation.validate_experiment(params, 'train_and_eval')


@pytest.mark.parametrize('override', ['max_size=480', 'min_sizes=[160]'])
def test_typed_sizes_of_images_are_not_fitted_to_small_images(data, override):
  params = resolution.resolve(
    Shorthands(data=data, size='nano'), params_override=f'task.train_data.parser.{override}'
  )
  parser = params.task.train_data.parser
  assert f'{override.split("=")[0]}={getattr(parser, override.split("=")[0])}' == override
  side = 160 if override.startswith('min') else 384
  assert [(bucket.height, bucket.width) for bucket in parser.buckets] == [(side, side)]
  validation.validate_experiment(params, 'train_and_eval')


@pytest.mark.parametrize('image_size, sizes_of_side', [(None, [102, 128]), (1200, [576, 720])])
def test_the_range_of_short_sides_is_fitted_to_the_data(data, image_size, sizes_of_side):
  params = resolution.resolve(
    Shorthands(data=data, image_size=image_size, weights='w.pth'),
    'mask_rcnn_resnet50fpn_3x_coco',
  )
  assert params.task.train_data.parser.min_size_range == sizes_of_side
  validation.validate_experiment(params, 'train_and_eval')


@pytest.mark.parametrize('image_size', [None, 384])
@pytest.mark.parametrize(
  'override,longest', [('min_sizes=[96, 160, 128]', 160), ('min_size_range=[96, 160]', 160)]
)
def test_padded_sizes_hold_the_largest_of_several_short_sides(data, override, longest, image_size):
  """Otherwise images of the larger sizes would be shrunk without a word."""
  flags = Shorthands(data=data, size='nano', image_size=image_size)
  params = resolution.resolve(flags, params_override=f'task.train_data.parser.{override}')
  parser = params.task.train_data.parser
  assert [(bucket.height, bucket.width) for bucket in parser.buckets] == [(longest, longest)]
  assert list(params.task.validation_data.parser.min_sizes) == [longest]
  validation.validate_experiment(params, 'train_and_eval')


@pytest.mark.parametrize(
  'values', [{'epochs': 0}, {'batch_size': -1}, {'image_size': 0}, {'size': 'huge'}]
)
def test_values_out_of_range_are_refused(values):
  with pytest.raises(ConfigError, match=f'--{next(iter(values))} is'):
    Shorthands(**values)


def test_a_size_and_an_experiment_are_refused():
  with pytest.raises(ConfigError, match='do not go together'):
    shorthands.experiment_name(Shorthands(size='nano'), 'htc_nuclei')


@pytest.mark.parametrize(
  'has_gpu,override,expected', [(False, '', 0), (True, '', 1), (True, 'runtime.num_gpus=0', 0)]
)
def test_a_gpu_is_used_unless_the_number_is_typed(data, has_gpu, override, expected):
  """Several would need batches that they can share."""
  flags = Shorthands(data=data, size='nano')
  params = resolution.resolve(flags, params_override=override, has_gpu=has_gpu)
  assert params.runtime.num_gpus == expected


def test_an_experiment_alone_keeps_its_devices():
  assert resolution.resolve(Shorthands(), 'htc_nuclei', has_gpu=True).runtime.num_gpus == 0


@pytest.mark.parametrize('flags', [{'image_size': 64}, {'epochs': 3}, {'weights': 'w.pth'}])
def test_an_experiment_of_model_garden_is_refused(data, flags):
  with pytest.raises(ConfigError, match='This is not an HTC experiment'):
    resolution.resolve(Shorthands(data=data, **flags), 'maskrcnn_resnetfpn_coco')


def test_nothing_to_train_is_answered_with_an_example():
  with pytest.raises(ConfigError, match='htc-train --data=data --size=small'):
    shorthands.experiment_name(Shorthands(), None)


def test_an_image_size_without_data_is_refused():
  with pytest.raises(ConfigError, match='--image_size needs --data'):
    resolution.resolve(Shorthands(size='nano', image_size=128))


def test_the_mode_depends_on_records_for_validation(data, data_without_val, caplog):
  assert shorthands.mode_for(resolution.resolve(Shorthands(data=data))) == 'train_and_eval'
  with caplog.at_level(logging.WARNING):
    params = resolution.resolve(Shorthands(data=data_without_val))
    assert shorthands.mode_for(params) == 'train'
  assert '--val_fraction=0.2' in caplog.text
  validation.validate_experiment(params, 'train')


def test_the_text_gives_the_same_experiment_without_shorthands(data, tmp_path):
  flags = Shorthands(data=data, size='nano', epochs=7, batch_size=2)
  parsed, values = shorthands.resolve(flags, 'htc_nano')
  text = shorthands.describe(flags, 'htc_nano', 'train', values)
  first, content = text.split('\n', 1)
  assert f'--data={data} --size=nano --epochs=7 --batch_size=2 stands for' in first
  assert '--experiment=htc_nano --mode=train' in first
  yaml.safe_load(content)
  (tmp_path / 'values.yaml').write_text(content, encoding='utf-8')
  again = parsing.parse('htc_nano', [str(tmp_path / 'values.yaml')])
  assert again.params.as_dict() == parsed.params.as_dict()
