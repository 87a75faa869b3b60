"""Tests of the reports of a training."""

import pytest

from htc_tf.losses import htc_loss
from htc_tf.training import report as report_lib
from htc_tf.training.report import Report

LOGS = {
  'total_loss': 5.5,
  'training_loss': 5.5,
  'weight_decay': 0.25,
  'rpn_class_loss': 0.5,
  'rpn_box_loss': 0.25,
  'semantic_loss': 0.75,
  'stage0_class_loss': 1.0,
  'stage0_box_loss': 0.5,
  'stage0_mask_loss': 1.5,
  'stage1_class_loss': 0.25,
  'stage1_box_loss': 0.125,
  'stage1_mask_loss': 0.625,
  'stage0_accuracy': 0.875,
  'learning_rate': 0.02,
  'skipped_records': 0.0,
  'skipped_steps': 0.0,
}


def report(step=30, num_steps=540, **values):
  return Report(
    step, num_steps, step / 9, num_steps / 9, {**LOGS, **values.pop('logs', {})}, **values
  )


def test_the_parts_of_the_loss_are_sums_over_the_stages():
  assert report_lib.parts(LOGS) == {
    'rpn': 0.75,
    'class': 1.25,
    'box': 0.625,
    'mask': 2.125,
    'semantic': 0.75,
  }
  assert sum(report_lib.parts(LOGS).values()) == LOGS['total_loss']


def test_every_term_of_the_loss_belongs_to_a_part():
  """Otherwise the parts would not add up to the total."""
  names = htc_loss.term_names(3, include_mask=True, include_semantic=True)
  terms = dict.fromkeys(htc_loss.with_assistant(names), 1.0)
  assert sum(report_lib.parts(terms).values()) == len(terms)
  assert set(report_lib.parts(terms)) == {'rpn', 'class', 'box', 'mask', 'semantic'}


def test_a_report_is_one_line():
  line = report_lib.line(
    report(
      seconds_per_step=1.25,
      images_per_second=3.2,
      seconds_left=3725,
      memory=3 * 2**29,
      gpu_memory=2**30,
    )
  )
  assert line == (
    'epoch  3.3/60.0  step  30/540  loss  5.500  rpn  0.750  class  1.250  box  0.625  '
    'mask  2.125  semantic  0.750  rate 2.0e-02    1.25 s/step    3.2 images/s    1:02:05 left  '
    '1.5 GB  GPU 1.0 GB'
  )


def test_the_columns_of_lines_are_aligned():
  lines = [
    report_lib.line(report(step, logs={'total_loss': loss}, **speed))
    for step, loss, speed in (
      (1, 1234.5, {}),
      (10, 12.5, {'seconds_per_step': 0.0123, 'images_per_second': 325.2, 'seconds_left': 7}),
      (540, 0.01, {'seconds_per_step': 12.3, 'images_per_second': 0.325, 'seconds_left': 9e5}),
    )
  ]
  assert len({line.index('images/s') for line in lines}) == 1, '\n'.join(lines)
  assert len({len(line) for line in lines}) == 1


def test_skipped_data_is_named_only_if_there_is_some():
  assert 'skipped' not in report_lib.line(report())
  assert report_lib.line(report(logs={'skipped_records': 3.0})).endswith('  skipped_records 3')
  assert report_lib.line(report(logs={'skipped_steps': 2.0})).endswith('  skipped_steps 2')


@pytest.mark.parametrize(
  'seconds,text',
  [(0, '0:00'), (59.6, '1:00'), (3599, '59:59'), (3600, '1:00:00'), (180000, '2 d 2 h')],
)
def test_durations(seconds, text):
  assert report_lib.duration(seconds) == text


def test_scalars_are_grouped():
  scalars = report_lib.scalars(report(seconds_per_step=0.5, images_per_second=8.0, memory=2**30))
  assert scalars['loss/total_loss'] == 5.5
  assert scalars['loss/weight_decay'] == 0.25
  assert scalars['loss/stage1_mask_loss'] == 0.625
  assert scalars['accuracy/stage0_accuracy'] == 0.875
  assert scalars['rate/learning_rate'] == 0.02
  assert scalars['speed/images_per_second'] == 8.0
  assert scalars['memory/process_gb'] == 1.0
  assert scalars['skipped/skipped_records'] == 0.0
  groups = {'loss', 'accuracy', 'rate', 'speed', 'memory', 'skipped'}
  assert {name.partition('/')[0] for name in scalars} == groups
  assert not any('training_loss' in name for name in scalars)


def test_speed_is_left_out_before_it_is_measured():
  scalars = report_lib.scalars(report())
  assert not any(name.startswith('speed/') for name in scalars)
  assert 'seconds_per_step' not in report_lib.row(report())
  assert '- s/step' in report_lib.line(report())


def test_a_row_has_parts_and_terms():
  row = report_lib.row(report(seconds_per_step=0.5, images_per_second=8.0))
  assert list(row)[:9] == [
    'epoch',
    'learning_rate',
    'total_loss',
    'weight_decay',
    'rpn_loss',
    'class_loss',
    'box_loss',
    'mask_loss',
    'semantic_loss',
  ]
  assert (row['mask_loss'], row['stage0_mask_loss']) == (2.125, 1.5)
  assert row['seconds_per_step'] == 0.5


def test_figures_of_an_evaluation_are_grouped():
  figures = {'bbox_AP': 0.5, 'segm_AP50@6': 0.25, 'segm_AP_by_category/a': 0.1, 'skipped_shards': 1}
  assert report_lib.figure_scalars(figures) == {
    'box/bbox_AP': 0.5,
    'mask/segm_AP50@6': 0.25,
    'mask_by_category/segm_AP_by_category/a': 0.1,
    'skipped/skipped_shards': 1,
  }
