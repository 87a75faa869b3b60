"""Tests of the task's input pipeline on damaged records: they are skipped and counted."""

import io
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from htc_tf.data import skipped
from htc_tf.data.skipped import KINDS
from htc_tf.errors import DataError
from htc_tf.tasks.htc import HTCTask
from tests import tiny_records

_NAN = float('nan')
_SEMANTIC = 'image/segmentation/class/encoded'


@pytest.fixture(name='folder')
def _folder(tmp_path):
  tiny_records.write(tmp_path)
  return tmp_path


def shard(folder) -> pathlib.Path:
  (path,) = (folder / 'records').glob('*.tfrecord')
  return path


def read(folder):
  return [
    tf.train.Example.FromString(record.numpy())
    for record in tf.data.TFRecordDataset(str(shard(folder)))
  ]


def write(folder, examples):
  with tf.io.TFRecordWriter(str(shard(folder))) as writer:
    for example in examples:
      writer.write(example if isinstance(example, bytes) else example.SerializeToString())


def make_task(folder, **changes):
  """The task and the configuration of its training data, with one image per batch."""
  pattern = str(folder / 'records' / 'train-*.tfrecord')
  params = tiny_records.reduced('htc_resnet50fpn_1x_coco', pattern).task
  params.train_data.override({'global_batch_size': 1, **changes})
  return HTCTask(params), params.train_data


def labels_by_id(task, data, number=12):
  return {int(labels['source_id'][0]): labels for _, labels in task.build_inputs(data).take(number)}


def skip_counts(task):
  return {
    metric.name: int(metric.result())
    for metric in task.build_metrics()
    if metric.name in KINDS and metric.result()
  }


def png(mode, size):
  buffer = io.BytesIO()
  Image.new(mode, size).save(buffer, format='PNG')
  return buffer.getvalue()


def set_bytes(example, key, value):
  example.features.feature[key].bytes_list.value[0] = value


def truncate_image(example):
  encoded = example.features.feature['image/encoded'].bytes_list.value[0]
  set_bytes(example, 'image/encoded', encoded[: len(encoded) // 2])


def break_mask(example):
  set_bytes(example, 'image/object/mask', b'\x89PNG no more')


def empty_semantic_map(example):
  set_bytes(example, _SEMANTIC, b'')


def remove_class(example):
  del example.features.feature['image/object/class/label'].int64_list.value[:1]


def set_decompression_bomb(example):
  set_bytes(example, 'image/encoded', png('1', (8000, 6251)))


@pytest.mark.parametrize(
  'damage', [truncate_image, break_mask, empty_semantic_map, remove_class, set_decompression_bomb]
)
def test_a_record_with_a_broken_part_is_skipped(folder, damage):
  examples = read(folder)
  damage(examples[1])
  write(folder, examples)
  task, data = make_task(folder)
  assert set(labels_by_id(task, data)) == {1, 3, 4}
  assert skip_counts(task) == {'skipped_records': 1}


def test_a_record_that_is_no_example_is_skipped(folder):
  examples = read(folder)
  write(folder, [*examples[:2], b'\xff\xff', *examples[2:]])
  task, data = make_task(folder)
  assert set(labels_by_id(task, data)) == {1, 2, 3, 4}
  assert skip_counts(task) == {'skipped_records': 1}


def test_the_records_before_the_end_of_a_truncated_shard_are_read(folder):
  data = shard(folder).read_bytes()
  shard(folder).write_bytes(data[:-10])
  task, config = make_task(folder)
  assert set(labels_by_id(task, config)) == {1, 2, 3}
  assert skip_counts(task) == {'skipped_shards': 1}


@pytest.mark.parametrize('is_training', [True, False])
def test_data_without_any_usable_record_is_an_error_before_reading_begins(folder, is_training):
  examples = read(folder)
  for example in examples:
    truncate_image(example)
  write(folder, examples)
  task, train_data = make_task(folder)
  data = train_data if is_training else task.task_config.validation_data
  with pytest.raises(
    DataError,
    match=r'The data cannot be used.*none in 1 files; the first: image id 1: cannot be parsed',
  ):
    task.build_inputs(data)


def test_records_without_the_masks_of_the_configuration_stop_the_run(folder, monkeypatch):
  """Only the image without instances can be parsed, since it needs no masks."""
  monkeypatch.setattr(skipped, 'MAX_SURPLUS', 10)
  examples = read(folder)
  for example in examples:
    del example.features.feature['image/object/mask']
  write(folder, examples)
  task, data = make_task(folder)
  with pytest.raises(
    tf.errors.InvalidArgumentError,
    match=r'DataError: The data cannot.*The record holds no instance masks',
  ):
    labels_by_id(task, data, 50)


def test_a_shard_of_broken_records_does_not_stop_the_reading_of_others(folder):
  other = shard(folder).with_name('train-other.tfrecord')
  examples = read(folder)
  with tf.io.TFRecordWriter(str(other)) as writer:
    for example in examples:
      truncate_image(example)
      example.features.feature['image/source_id'].bytes_list.value[0] += b'0'
      writer.write(example.SerializeToString())
  task, data = make_task(folder)
  assert set(labels_by_id(task, data, 24)) == {1, 2, 3, 4}
  assert skip_counts(task) == {'skipped_records': 4}


def test_instances_without_a_usable_box_are_skipped(folder):
  """A box of image 1 has a NaN, and the only box of image 2 has no area."""
  examples = read(folder)
  examples[0].features.feature['image/object/bbox/ymin'].float_list.value[0] = _NAN
  features = examples[1].features.feature
  left = features['image/object/bbox/xmin'].float_list.value[0]
  features['image/object/bbox/xmax'].float_list.value[0] = left
  write(folder, examples)
  task, data = make_task(folder)
  found = labels_by_id(task, data)
  counts = {number: int(np.sum(labels['gt_classes'] > 0)) for number, labels in found.items()}
  assert counts == {1: 1, 2: 0, 3: 1, 4: 0}
  assert all(np.isfinite(labels['gt_boxes']).all() for labels in found.values())
  assert skip_counts(task) == {'skipped_instances': 2}


def test_instances_over_the_limit_are_skipped_and_counted(folder):
  examples = read(folder)
  for key, feature in examples[1].features.feature.items():
    if key.startswith('image/object/'):
      values = getattr(feature, feature.WhichOneof('kind')).value
      values.extend(list(values) * 999)
  examples[1].features.feature['image/object/class/label'].int64_list.value[0] = 2
  write(folder, examples)
  task, data = make_task(folder)
  labels = labels_by_id(task, data)[2]
  assert labels['gt_classes'].numpy().tolist() == [[2, 1, 1, 1]]
  assert skip_counts(task) == {'instances_over_limit': 996}


def test_evaluation_reports_skipped_records(folder, caplog):
  examples = read(folder)
  truncate_image(examples[1])
  write(folder, examples)
  task, _ = make_task(folder)
  model, state, found = task.build_model(), None, []
  for batch in task.build_inputs(task.task_config.validation_data):
    found += batch[1]['source_id'].numpy().tolist()
    state = task.aggregate_logs(state, task.validation_step(batch, model))
  assert sorted(found) == [1, 3, 4]
  values = task.reduce_aggregated_logs(state)
  assert values['skipped_records'] == 1 and values['skipped_shards'] == 0
  assert 'image id 2: cannot be parsed' in caplog.text
  assert '1 of the 4 annotated images were not predicted' in caplog.text
