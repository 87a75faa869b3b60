"""Tests of the checks of an input pipeline and of the records that it reads."""

import dataclasses

import pytest
from absl import logging as absl_logging

from htc_tf.configs import augmentation as augmentation_config
from htc_tf.configs import data_validation, validation
from htc_tf.configs import model as model_config
from htc_tf.configs import task as task_config
from htc_tf.data import dataset_info
from htc_tf.data.augmentation.registry import build_augmentations
from htc_tf.data.sample_format import SampleFormat
from htc_tf.errors import ConfigError, DataError
from tests.configs import empty_records
from tests.configs.empty_records import INFO
from tests.reports import shown_records

_NAMES = list(augmentation_config.Augmentation().as_dict())


def test_pasting_without_masks_is_refused():
  parser, model = task_config.Parser(), model_config.HTC(include_mask=False)
  data_validation._check_augmentations(parser, model, 'task.train_data')
  parser.augmentation.copy_paste.probability = 0.5
  data_validation._check_augmentations(parser, model_config.HTC(), 'task.train_data')
  with pytest.raises(ConfigError, match=r'task.train_data.parser.augmentation.copy_paste needs m'):
    data_validation._check_augmentations(parser, model, 'task.train_data')


def _activated(name):
  """A parser with one augmentation that is on, as far as it can be."""
  parser = task_config.Parser()
  config = getattr(parser.augmentation, name)
  if 'probability' in {field.name for field in dataclasses.fields(config)}:
    config.probability = 0.5
  return parser


@pytest.mark.parametrize('channels', [1, 2, 4])
@pytest.mark.parametrize('name', _NAMES)
def test_augmentations_of_colors_are_refused_for_other_channels(name, channels):
  parser = _activated(name)
  model = model_config.HTC(input_size=[64, 64, channels])
  (built,) = build_augmentations({name: getattr(parser.augmentation, name).as_dict()})
  assert built.needs_rgb == (name in ('saturation', 'hue', 'jpeg'))
  data_validation._check_augmentations(parser, model_config.HTC(), 'task.train_data')
  if not built.needs_rgb:
    data_validation._check_augmentations(parser, model, 'task.train_data')
    return
  field = f'task.train_data.parser.augmentation.{name}'
  message = f'{field} needs RGB.*3 channels.*Got: {channels} channels?. .*set {field}.probability=0'
  with pytest.raises(ConfigError, match=message):
    data_validation._check_augmentations(parser, model, 'task.train_data')


def test_the_check_of_a_pipeline_has_that_of_its_augmentations(tmp_path):
  """Evaluation does not augment images."""
  shown_records.write(tmp_path, sample_format=SampleFormat(1, 8))
  data = task_config.DataConfig(input_path=str(tmp_path / 'records' / 'train-*.tfrecord'))
  data.parser.augmentation.jpeg.probability = 0.1
  data.global_batch_size = 1
  model = model_config.HTC(num_classes=3, input_size=[64, 64, 1])
  model.pixels.mean, model.pixels.stddev = [1.0], [1.0]
  model.semantic_head.enabled = False
  data.is_training = False
  data.parser.min_sizes = [64]
  data_validation.validate_data(data, model, 'task.train_data')
  data.is_training = True
  with pytest.raises(ConfigError, match=r'augmentation.jpeg needs RGB'):
    data_validation.validate_data(data, model, 'task.train_data')


@pytest.mark.parametrize('path', ['', 'nowhere/train-*.tfrecord', ['nowhere'], None])
def test_an_input_path_without_files_is_refused(experiment, path):
  experiment.task.train_data.input_path = path
  with pytest.raises(ConfigError, match=r'task.train_data.input_path matches no file'):
    validation.validate_experiment(experiment, 'train')


def test_records_without_metadata_are_refused(experiment, tmp_path):
  (tmp_path / 'train.json').unlink()
  with pytest.raises(DataError, match='No metadata of a data set'):
    validation.validate_experiment(experiment, 'train')


WRONG_DATA = {
  'batch': ({'global_batch_size': 0}, 'train_data.global_batch_size is out of range'),
  'buffer': ({'shuffle_buffer_size': -1}, 'train_data.shuffle_buffer_size is out of range'),
  'no size': ({'parser': {'min_sizes': []}}, 'parser.min_sizes is wrong.*one size or more'),
  'size': ({'parser': {'max_size': 0}}, 'parser.max_size is out of range.*positive.*Got: 0'),
  'exchanged sizes': (
    {'parser': {'min_sizes': [300]}},
    r'parser.min_sizes is wrong.*max_size = 256.*\[300\].*exchanged',
  ),
  'size range': (
    {'parser': {'min_size_range': [300, 200]}},
    'min_size_range is wrong.*low <= high',
  ),
  'size range beyond the long side': (
    {'parser': {'min_size_range': [200, 300]}},
    r'min_size_range.*max_size = 256.*\[200, 300\]',
  ),
  'one size for a range': ({'parser': {'min_size_range': [200]}}, r'min_size_range.*\[200\]'),
  'scale': (
    {'parser': {'augmentation': {'scale_jitter': {'min_factor': 1.2, 'max_factor': 0.8}}}},
    'scale_jitter is not a range.*min_factor=1.2, max_factor=0.8',
  ),
  'scale of 0': (
    {'parser': {'augmentation': {'scale_jitter': {'min_factor': 0.0}}}},
    'scale_jitter.min_factor is out of range.*positive',
  ),
  'flip': (
    {'parser': {'augmentation': {'flip': {'horizontal': 50}}}},
    'flip.horizontal is out of range.*0..1.*Got: 50.*a percentage',
  ),
  'vertical flip': (
    {'parser': {'augmentation': {'flip': {'vertical': -1.0}}}},
    'flip.vertical is out of range',
  ),
}


BUCKET = {'height': 32, 'width': 64}
WRONG_BUCKETS = {
  'divisor': (
    [BUCKET, {'height': 40, 'width': 64}],
    r'train_data.parser.buckets\[1\] is wrong.*multiples of 32.*40 x 64',
  ),
  'missing side': ([{'height': 64}], r'buckets\[0\] is wrong.*64 x 0'),
  'misspelled key': ([{'hight': 32, 'width': 64}], r"buckets\[0\] has unknown keys.*\['hight'\]"),
  'too large': (
    [{'height': 64, 'width': 96}],
    r'buckets\[0\] is larger than task.model.input_size.*64 x 64.*64 x 96',
  ),
  'string instead of a number': (
    [{'height': '32', 'width': 64}],
    r'buckets\[0\].height is of the wrong type',
  ),
  'no list': (64, r'buckets is of the wrong type. Expected: a list. Got: 64'),
  'no keys': ([64], r"buckets\[0\] is of the wrong type. Expected: keys of \['height'"),
}


@pytest.mark.parametrize('case', WRONG_BUCKETS)
def test_wrong_buckets_are_refused(experiment, case):
  buckets, message = WRONG_BUCKETS[case]
  experiment.task.train_data.override({'parser': {'buckets': buckets}})
  with pytest.raises(ConfigError, match=message):
    validation.validate_experiment(experiment, 'train')


def test_valid_buckets_are_accepted(experiment):
  experiment.task.train_data.override(
    {'parser': {'buckets': [BUCKET, {'height': 64, 'width': 32}]}}
  )
  validation.validate_experiment(experiment, 'train')


def test_parts_of_model_garden_need_buckets_of_the_input_size(experiment):
  experiment.task.model.override({'roi_generator': {'type': 'model_garden'}})
  experiment.task.train_data.override({'parser': {'buckets': [{'height': 64, 'width': 64}]}})
  validation.validate_experiment(experiment, 'train')
  experiment.task.train_data.override({'parser': {'buckets': [BUCKET]}})
  with pytest.raises(ConfigError, match=r'buckets\[0\] does not match the model.*64 x 64.*32 x 64'):
    validation.validate_experiment(experiment, 'train')


@pytest.mark.parametrize('case', WRONG_DATA)
def test_a_wrong_input_pipeline_is_refused(experiment, case):
  overrides, message = WRONG_DATA[case]
  experiment.task.train_data.override(overrides)
  with pytest.raises(ConfigError, match=message):
    validation.validate_experiment(experiment, 'train')


WRONG_RECORDS = {
  'classes': (
    {'categories': INFO.categories[:2]},
    r'num_classes disagree.*Expected: 3 \(2 categories.*Got: 4.*num_classes=3',
  ),
  'masks': ({'include_masks': False}, 'has no masks.*include_mask=false'),
  'semantic': ({'semantic': None}, 'has no semantic maps.*semantic_head.enabled=false'),
  'semantic classes': (
    {'semantic': dataset_info.SemanticInfo('stuff_maps', 183)},
    'semantic_head.num_classes disagree.*Expected: 183.*Got: 5',
  ),
}


@pytest.mark.parametrize('case', WRONG_RECORDS)
def test_records_that_do_not_match_the_model_are_refused(experiment, tmp_path, case):
  changes, message = WRONG_RECORDS[case]
  empty_records.write(tmp_path, dataclasses.replace(INFO, **changes))
  with pytest.raises(ConfigError, match=message):
    validation.validate_experiment(experiment, 'train')


def test_validation_records_may_have_more_categories(experiment, tmp_path):
  """The evaluation matches them by id and name."""
  experiment.task.validation_data.input_path = experiment.task.train_data.input_path
  experiment.task.model.num_classes = 3
  validation.validate_experiment(experiment, 'eval')


def test_records_of_some_categories_fit_the_run_that_they_continue(experiment, tmp_path):
  semantic = dataset_info.SemanticInfo('instances', 2)
  category = dataclasses.replace(INFO.categories[1], label=1)
  changes = {'categories': (category,), 'semantic': semantic}
  empty_records.write(tmp_path, dataclasses.replace(INFO, **changes))
  with pytest.raises(ConfigError, match='num_classes disagree'):
    validation.validate_experiment(experiment, 'train')
  experiment.task.model.semantic_head.num_classes = INFO.num_classes
  validation.validate_experiment(experiment, 'train', INFO)
  other = dataclasses.replace(INFO, categories=(dataset_info.Category(1, 'x', 1),))
  with pytest.raises(ConfigError, match='num_classes disagree'):
    validation.validate_experiment(experiment, 'train', other)


def test_evaluation_needs_neither_masks_nor_semantic_maps(experiment, tmp_path):
  empty_records.write(tmp_path, dataclasses.replace(INFO, include_masks=False, semantic=None))
  experiment.task.validation_data.input_path = experiment.task.train_data.input_path
  validation.validate_experiment(experiment, 'eval')


def test_an_evaluation_has_one_image_size(experiment):
  experiment.task.validation_data.input_path = experiment.task.train_data.input_path
  experiment.task.validation_data.parser.min_sizes = [128, 256]
  with pytest.raises(ConfigError, match=r'validation_data.parser.min_sizes has several sizes'):
    validation.validate_experiment(experiment, 'eval')


@pytest.mark.parametrize('max_size, shrinks', [(64, False), (96, True)])
def test_images_that_the_network_input_shrinks_are_named(experiment, caplog, max_size, shrinks):
  parser = experiment.task.train_data.parser
  parser.max_size, parser.min_sizes = max_size, [64]
  absl_logging.use_absl_handler()
  validation.validate_experiment(experiment, 'train')
  found = 'train_data.parser.max_size is 96, but the long side of task.model.input_size is 64'
  assert (found in caplog.text) == shrinks
