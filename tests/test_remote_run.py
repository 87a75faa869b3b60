"""Tests that a training run and its uses work below `ram://`, without files on this machine."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests import tiny_records, training_runs

RECORDS = 'ram://bucket/run/records'


@pytest.fixture(scope='module', name='report')
def _report(tmp_path_factory):
  """What `tests.remote_run` has found."""
  folder = tmp_path_factory.mktemp('remote')
  tiny_records.write(folder)
  overrides = {
    'task': {'annotation_file': f'{RECORDS}/train_annotations.json', 'allow_image_summary': True},
    'trainer': {
      'best_checkpoint_export_subdir': 'best',
      'best_checkpoint_eval_metric': 'bbox_AP',
      'max_to_keep': 5,
    },
  }
  config = training_runs.write_config(
    folder / 'config.yaml', f'{RECORDS}/train-*.tfrecord', 3, overrides
  )
  (folder / 'empty').mkdir()
  process = subprocess.run(
    [sys.executable, '-m', 'tests.remote_run', str(folder), config],
    cwd=folder / 'empty',
    env={**os.environ, 'PYTHONPATH': str(pathlib.Path(__file__).parents[1])},
    capture_output=True,
    text=True,
    check=False,
  )
  assert process.returncode == 0, process.stderr[-5000:]
  return json.loads(process.stdout.splitlines()[-1])


def test_nothing_is_written_to_this_machine(report):
  assert report['changed'] == []
  assert report['working_directory'] == []


def test_a_run_writes_all_its_files(report):
  names = set(report['first'])
  assert {
    'params.yaml',
    'dataset.json',
    'run.json',
    'checkpoint',
    'ckpt-2.index',
    'results/step-2.json',
    'results/step-2.segm.json',
    'results/step-2-metrics.json',
    'best/info.json',
  } <= names
  assert any(name.startswith('train/events') for name in names)
  assert any(name.startswith('validation/events') for name in names)
  assert any(name.startswith('best/') and name.endswith('.index') for name in names)


def test_no_temporary_file_is_left(report):
  assert not [name for name in report['all'] if '.part' in name or '_temp' in name]


def test_a_run_continues_from_the_last_good_checkpoint(report):
  assert report['steps'] == [0, 1]
  names = set(report['resumed'])
  assert 'ckpt-3.index' in names
  assert {'damaged-ckpt-2.index', 'damaged-ckpt-9.data-00000-of-00001'} <= names
  assert 'checkpoint.tmp123' not in names


def test_the_records_are_identified(report):
  assert report['data']['num_files'] == 1
  assert report['data']['num_records'] == len(tiny_records.BOXES)


def test_an_evaluation_reads_the_checkpoint_and_the_annotations(report):
  assert 0 <= report['figures']['bbox_AP'] <= 1


def test_model_directory_checkpoint_and_export_detect_the_same(report):
  directory, checkpoint, export = report['detected'].values()
  assert directory[0]
  assert directory == checkpoint
  assert directory[1] == export[1] == ['color3', 'color8']
  assert export[0] == pytest.approx(directory[0], abs=1e-5)


def test_an_export_is_complete(report):
  assert {
    f'export/1/{name}'
    for name in ('saved_model.pb', 'export.json', 'categories.json', 'batching_params.pbtxt')
  } <= set(report['all'])


def test_a_run_starts_from_a_remote_model_directory(report):
  assert 'tuned/ckpt-1.index' in report['all']
