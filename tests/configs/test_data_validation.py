"""Tests of the checks of an input pipeline that concern its augmentations."""

import dataclasses

import pytest

from htc_tf.configs import augmentation as augmentation_config
from htc_tf.configs import data_validation
from htc_tf.configs import model as model_config
from htc_tf.configs import task as task_config
from htc_tf.data.augmentation.registry import build_augmentations
from htc_tf.data.sample_format import SampleFormat
from htc_tf.errors import ConfigError
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
