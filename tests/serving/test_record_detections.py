"""Tests of detections on validation records: which records, annotations and configuration count."""

import collections
import json
import shutil

import pytest
import tensorflow as tf
import tf_keras

from htc_tf.checkpoints import model_directory
from htc_tf.errors import DataError, InputError
from htc_tf.serving import record_detections
from htc_tf.serving.record_detections import Records
from htc_tf.tasks.htc import HTCTask
from tests import tiny_records

_OF_RUN = Records()


@pytest.fixture(scope='module', name='run')
def _run(tmp_path_factory):
  """A folder with records and, in `model`, a checkpoint of random weights whose run names them."""
  folder = tmp_path_factory.mktemp('run')
  records = tiny_records.write(folder, prefix='val')
  params = tiny_records.reduced('htc_nuclei', records)
  params.task.model.cascade.stages = params.task.model.cascade.stages[:1]
  params.task.model.detection_generator.score_threshold = 0.0
  _save(folder / 'model', params)
  return folder


def _save(path, params):
  model_directory.create(str(path))
  model_directory.save_params(str(path), params)
  tf_keras.utils.set_random_seed(3)
  model = HTCTask(params.task).build_model()
  checkpoint = tf.train.Checkpoint(model=model, **model.checkpoint_items)
  tf.train.CheckpointManager(checkpoint, str(path), max_to_keep=1).save(1)


def _detect(run, records=_OF_RUN, model='model', **options):
  checkpoint = record_detections.check_model(str(run / model))
  return record_detections.detect(checkpoint, records, **options)


def _annotations(run, path, change):
  content = json.loads((run / 'val_source.json').read_text())
  change(content)
  path.write_text(json.dumps(content))
  return str(path)


def _images(found):
  return collections.Counter(result['image_id'] for result in found.results)


def test_the_run_names_records_and_annotations(run):
  found = _detect(run)
  assert sorted(_images(found)) == [1, 2, 3, 4] and found.has_masks and not found.notes
  assert found.input_path == str(run / 'records' / 'val-*.tfrecord')
  assert found.annotation_file.startswith(str(run / 'records'))
  assert found.category_ids == list(tiny_records.CATEGORY_IDS)


def test_an_override_changes_the_detections(run):
  override = 'task.model.detection_generator.max_detections=2'
  found = _detect(run, params_override=[override])
  assert found.max_detections == 2 and set(_images(found).values()) == {2}


def test_other_records_bring_their_annotations_and_given_ones_replace_these(run, tmp_path):
  pattern = tiny_records.write(tmp_path, prefix='other', num_images=2)
  found = _detect(run, Records(pattern))
  assert sorted(_images(found)) == [1, 2] and found.input_path == pattern
  assert found.annotation_file.startswith(str(tmp_path / 'records')) and not found.notes

  def keep_first(content):
    del content['images'][1:], content['annotations'][2:]

  path = _annotations(run, tmp_path / 'first.json', keep_first)
  with pytest.raises(DataError, match='annotations'):
    _detect(run, Records(pattern, path))  # They lack the second image.


def test_images_without_a_record_and_damaged_records_are_named(run, tmp_path):
  def add_image(content):
    content['images'].append({**content['images'][0], 'id': 99, 'file_name': '99.png'})

  annotations = _annotations(run, tmp_path / 'more.json', add_image)
  shutil.copytree(run / 'records', tmp_path / 'records')
  (shard,) = (tmp_path / 'records').glob('val-*.tfrecord')
  shard.write_bytes(shard.read_bytes()[:-100])  # The last of the four records is cut.
  found = _detect(run, Records(str(tmp_path / 'records' / 'val-*.tfrecord'), annotations))
  assert sorted(_images(found)) == [1, 2, 3]
  assert found.notes[0].startswith('2 of 5 annotated images have no usable record')
  assert '1 shards were read only in part' in found.notes[1]


def test_a_model_without_masks_gives_boxes(run):
  params = tiny_records.reduced('htc_nuclei', str(run / 'records' / 'val-*.tfrecord'))
  params.task.model.cascade.stages = params.task.model.cascade.stages[:1]
  params.task.model.include_mask = False
  params.task.model.detection_generator.score_threshold = 0.0
  _save(run / 'boxes', params)
  found = _detect(run, model='boxes')
  assert not found.has_masks and found.results
  assert not any('segmentation' in result for result in found.results)


@pytest.mark.parametrize('value', ['', "''", '[]'])
def test_a_run_without_validation_records_is_refused(run, value):
  with pytest.raises(InputError, match='no records to evaluate on'):
    _detect(run, params_override=f'task.validation_data.input_path={value}')
