"""Tests of what the training command refuses before it trains or evaluates."""

import json
import pathlib
import shutil

import pytest

from tests import tiny_records
from tests.cli import small_trainings


def test_records_of_other_classes_are_an_error(run, caplog, records, tmp_path):
  small_trainings.assert_fails(
    run,
    caplog,
    'task.train_data and task.model.num_classes disagree',
    experiment='htc_nuclei',
    params_override=f'task.train_data.input_path={records}',
  )
  assert not (tmp_path / 'model').exists()


def test_a_missing_initial_checkpoint_is_an_error(run, caplog, records, tmp_path):
  params = tiny_records.reduced('htc_nuclei', records)
  config = small_trainings.write_config(tmp_path / 'config.yaml', params, train_steps=1)
  small_trainings.assert_fails(
    run,
    caplog,
    'There is no checkpoint at nowhere',
    experiment='htc_nuclei',
    config_file=[config],
    params_override='task.init_checkpoint=nowhere',
  )


def test_records_without_a_trainable_instance_are_refused(run, caplog, records, tmp_path):
  copied = tmp_path / 'records'
  shutil.copytree(pathlib.Path(records).parent, copied)
  path = copied / 'train.json'
  info = json.loads(path.read_text())
  path.write_text(json.dumps({**info, 'checks': {'crowd_regions': info['num_instances']}}))
  config = small_trainings.write_config(
    tmp_path / 'config.yaml',
    tiny_records.reduced('htc_nuclei', str(copied / 'train-*.tfrecord')),
    train_steps=1,
  )
  small_trainings.assert_fails(
    run,
    caplog,
    'have no instance to train on',
    experiment='htc_nuclei',
    config_file=[config],
  )
  assert not (tmp_path / 'model' / 'dataset.json').exists()


def test_categories_with_exchanged_names_are_refused_before_training(
  run, caplog, records, tmp_path
):
  """By position or id alone, every class would be evaluated as the other one."""
  path = pathlib.Path(records).parent / 'train_annotations.json'
  content = json.loads(path.read_text())
  first, second = content['categories']
  first['name'], second['name'] = second['name'], first['name']
  (tmp_path / 'val.json').write_text(json.dumps(content))
  params = tiny_records.reduced('htc_nuclei', records)
  config = small_trainings.write_config(
    tmp_path / 'config.yaml', params, train_steps=1, validation_steps=1
  )
  small_trainings.assert_fails(
    run,
    caplog,
    '2 ids have another name',
    mode='train_and_eval',
    experiment='htc_nuclei',
    config_file=[config],
    params_override=f'task.annotation_file={tmp_path}/val.json',
  )
  assert not list((tmp_path / 'model').glob('ckpt*'))


@pytest.mark.parametrize(
  'content,message',
  [
    (None, 'cannot be read'),
    ('{', 'is not JSON'),
    ('{}', 'is not a COCO instances file'),
    ('{"images": [], "annotations": [], "categories": []}', 'has no categories'),
    (
      '{"images": [{"id": 1, "height": 8, "width": 8}], "annotations": [], '
      '"categories": [{"id": 77, "name": "x"}]}',
      'no id is the same',
    ),
  ],
)
def test_annotations_are_read_before_training(run, caplog, records, tmp_path, content, message):
  """Otherwise the error would come with the first evaluation, after hours."""
  annotations = tmp_path / 'val.json'
  if content is not None:
    annotations.write_text(content)
  params = tiny_records.reduced('htc_nuclei', records)
  config = small_trainings.write_config(
    tmp_path / 'config.yaml', params, train_steps=1, validation_steps=1
  )
  small_trainings.assert_fails(
    run,
    caplog,
    message,
    mode='train_and_eval',
    experiment='htc_nuclei',
    config_file=[config],
    params_override=f'task.annotation_file={annotations}',
  )
  assert not list((tmp_path / 'model').glob('ckpt*'))


def test_an_evaluation_of_random_weights_is_an_error(run, caplog, records, tmp_path):
  params = tiny_records.reduced('htc_nuclei', records)
  config = small_trainings.write_config(tmp_path / 'config.yaml', params, validation_steps=1)
  small_trainings.assert_fails(
    run,
    caplog,
    'There is no checkpoint to evaluate in',
    mode='eval',
    experiment='htc_nuclei',
    config_file=[config],
  )


def test_a_file_in_place_of_the_model_directory_is_an_error(run, caplog, records, tmp_path):
  params = tiny_records.reduced('htc_nuclei', records)
  config = small_trainings.write_config(tmp_path / 'config.yaml', params, train_steps=1)
  (tmp_path / 'model').write_text('mine')
  small_trainings.assert_fails(
    run,
    caplog,
    'model cannot be used. Expected: a path that is free. Got: File exists',
    experiment='htc_nuclei',
    config_file=[config],
  )
