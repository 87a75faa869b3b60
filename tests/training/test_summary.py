"""Tests of the lines at the start and at the end of a training."""

import logging

import pytest
from official.core import exp_factory

from htc_tf.configs import parsing
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.training import summary
from htc_tf.training.best_checkpoint import Best
from htc_tf.training.early_stopping import EarlyStopping
from tests import tiny, tiny_records


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  return tiny_records.write(tmp_path_factory.mktemp('own'))


class _Kept:
  """The folder of a best checkpoint."""

  folder = 'model/best'

  def __init__(self, best):
    self.best = best


class _Log:
  """The evaluations of a run."""

  def __init__(self, history, figures):
    self.stopping = EarlyStopping('segm_AP', 0, history=history)
    self.best_figures = figures


def end(caplog, params, run_log, kept=None):
  """The lines at the end of a run of all steps."""
  caplog.set_level(logging.INFO, logger='absl')
  summary.log_end(params.trainer.train_steps, params, run_log, 'model', kept)
  return caplog.messages


def test_the_next_command_is_no_evaluation_without_records_for_one(records, caplog):
  params = exp_factory.get_exp_config('htc_nano')
  params.task.validation_data.input_path = records
  assert end(caplog, params, _Log([], {}))[-1] == 'next: htc-evaluate --model=model'
  params.task.validation_data.input_path = records.replace('train', 'val')
  last = end(caplog, params, _Log([], {}))[-1]
  assert last == 'next: htc-predict --model=model --output=predictions IMAGE_OR_FOLDER'


@pytest.mark.parametrize('kept,has_table', [(Best(20, 0.5), True), (Best(30, 0.6), False)])
def test_the_table_at_the_end_is_that_of_the_best_checkpoint(caplog, kept, has_table):
  """After a restart that lost step 30, the best checkpoint is still that of step 30."""
  log = _Log([(20, 0.5)], {'segm_AP': 0.5, 'bbox_AP': 0.25})
  lines = end(caplog, exp_factory.get_exp_config('htc_nano'), log, _Kept(kept))
  assert any('25.0' in line for line in lines) == has_table
  assert f'best segm_AP {100 * kept.value:.1f} at step {kept.step}, in model/best' in lines


def test_repeated_images_and_the_length_of_an_epoch_are_named(records):
  """Two of four images have color8 or color3; a threshold of 1 repeats by sqrt(1 / share)."""
  info = DatasetInfo.find(records)
  data = parsing.parse('htc_nano').params.task.train_data
  assert summary._describe_sampling(data, info) == {}
  data.repeat_threshold = 1.0
  text = summary._describe_sampling(data, info)['sampling']
  shares = [number / 4 for number in info.statistics.images_by_category]
  assert f'up to {max(share**-0.5 for share in shares):.1f} times as often' in text
  assert 'an epoch is still 4 images, but not each of them' in text


def test_images_that_are_left_out_are_named(records):
  """One of the four images has no objects."""
  info = DatasetInfo.find(records)
  number = info.num_training_images(published_selection=True)
  assert number == 3
  assert 'about 1 images' in summary._describe_selection(info, number)['selection']
  assert summary._describe_selection(info, info.num_images) == {}


@pytest.mark.parametrize('number,text', [(1, '1 replica, '), (8, '8 replicas, ')])
def test_the_devices_are_those_of_the_strategy(records, caplog, number, text):
  """Not those of the current scope: the line is shown outside of every scope."""
  caplog.set_level(logging.INFO, logger='absl')
  params = exp_factory.get_exp_config('htc_nano')
  params.task.train_data.input_path = records
  summary.log_start('htc_nano', params, tiny.build(tiny.model(1)), 'model', number)
  (line,) = [line for line in caplog.messages[-1].splitlines() if line.startswith('devices')]
  assert text in line
