"""Tests of the check that flags and overrides say the same."""

import re

import pytest

from htc_tf.configs import validation
from htc_tf.configs.shorthands import Shorthands
from htc_tf.errors import ConfigError
from tests.configs import resolution


def test_epochs_and_typed_steps_are_refused(data):
  with pytest.raises(ConfigError, match=r'--epochs and trainer\.train_steps do not go together'):
    resolution.resolve(Shorthands(data=data, epochs=3), params_override='trainer.train_steps=50')


def test_a_typed_path_to_the_records_of_the_folder_is_accepted(data):
  path = f'{data}/train-00000-of-00001.tfrecord'
  params = resolution.resolve(
    Shorthands(data=data), params_override=f'task.train_data.input_path={path}'
  )
  assert params.task.train_data.input_path == path


@pytest.mark.parametrize(
  'override, message',
  [
    ('task.model.num_classes=5', r'num_classes disagree.*Expected: 3 .2 categories'),
    ('task.model.semantic_head.num_classes=9', 'semantic_head.num_classes disagree'),
    ('task.train_data.global_batch_size=3', '--batch_size and .* disagree'),
    ('task.init_checkpoint=b.pth', '--weights and task.init_checkpoint disagree'),
    ('task.train_data.parser.max_size=256', '--image_size and .*max_size disagree'),
    ('task.train_data.input_path={data}/val-*.tfrecord', '--data and .*input_path disagree'),
  ],
)
def test_a_typed_value_that_contradicts_data_or_flag_is_an_error(data, override, message):
  flags = Shorthands(data=data, size='nano', batch_size=2, weights='a.pth', image_size=128)
  override = override.format(data=data)
  with pytest.raises(ConfigError, match=re.compile(message)):
    validation.validate_experiment(resolution.resolve(flags, params_override=override), 'train')
