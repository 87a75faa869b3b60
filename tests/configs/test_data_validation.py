"""Tests of the checks of an input pipeline that concern its augmentations."""

import pytest

from htc_tf.configs import data_validation
from htc_tf.configs import model as model_config
from htc_tf.configs import task as task_config
from htc_tf.errors import ConfigError


def test_pasting_without_masks_is_refused():
  parser, model = task_config.Parser(), model_config.HTC(include_mask=False)
  data_validation._check_pasting(parser, model, 'task.train_data')
  parser.augmentation.copy_paste.probability = 0.5
  data_validation._check_pasting(parser, model_config.HTC(), 'task.train_data')
  with pytest.raises(ConfigError, match=r'task.train_data.parser.augmentation.copy_paste needs m'):
    data_validation._check_pasting(parser, model, 'task.train_data')
