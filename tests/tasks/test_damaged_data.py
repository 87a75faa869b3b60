"""The input pipeline of the task on damaged records: what is left out, counted, and trained."""

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


def make(folder, **changes):
  """The task and the configuration of its training data, one picture a batch."""
  pattern = str(folder / 'records' / 'train-*.tfrecord')
  params = tiny_records.reduced('htc_resnet50fpn_1x_coco', pattern).task
  params.train_data.override({'global_batch_size': 1, **changes})
  return HTCTask(params), params.train_data


def ids(task, data, number=12):
  return {int(labels['source_id'][0]): labels for _, labels in task.build_inputs(data).take(number)}


def figures(task):
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


def set_picture(example):
  picture = example.features.feature['image/encoded'].bytes_list.value[0]
  set_bytes(example, 'image/encoded', picture[: len(picture) // 2])


def set_mask(example):
  set_bytes(example, 'image/object/mask', b'\x89PNG no more')


def set_map(example):
  set_bytes(example, _SEMANTIC, b'')


def remove_class(example):
  del example.features.feature['image/object/class/label'].int64_list.value[:1]


def set_bomb(example):
  set_bytes(example, 'image/encoded', png('1', (8000, 6251)))


@pytest.mark.parametrize('damage', [set_picture, set_mask, set_map, remove_class, set_bomb])
def test_a_record_with_a_broken_part_is_left_out(folder, damage):
  examples = read(folder)
  damage(examples[1])
  write(folder, examples)
  task, data = make(folder)
  assert set(ids(task, data)) == {1, 3, 4}
  assert figures(task) == {'skipped_records': 1}


def test_a_record_that_is_no_example_is_left_out(folder):
  examples = read(folder)
  write(folder, [*examples[:2], b'\xff\xff', *examples[2:]])
  task, data = make(folder)
  assert set(ids(task, data)) == {1, 2, 3, 4}
  assert figures(task) == {'skipped_records': 1}


def test_a_truncated_shard_trains_on_what_stands_before(folder):
  data = shard(folder).read_bytes()
  shard(folder).write_bytes(data[:-10])
  task, config = make(folder)
  assert set(ids(task, config)) == {1, 2, 3}
  assert figures(task) == {'skipped_shards': 1}


@pytest.mark.parametrize('is_training', [True, False])
def test_data_of_which_nothing_can_be_used_are_an_error_at_once(folder, is_training):
  examples = read(folder)
  for example in examples:
    set_picture(example)
  write(folder, examples)
  task, train_data = make(folder)
  data = train_data if is_training else task.task_config.validation_data
  with pytest.raises(
    DataError,
    match=r'The data cannot be used.*none in 1 files; the first: image id 1: cannot be parsed',
  ):
    task.build_inputs(data)


def test_records_of_another_configuration_stop_the_run(folder, monkeypatch):
  """The picture without instances could be trained on, for want of masks that are missing."""
  monkeypatch.setattr(skipped, 'MAX_SURPLUS', 10)
  examples = read(folder)
  for example in examples:
    del example.features.feature['image/object/mask']
  write(folder, examples)
  task, data = make(folder)
  with pytest.raises(
    tf.errors.InvalidArgumentError,
    match=r'DataError: The data cannot.*The record holds no instance masks',
  ):
    ids(task, data, 50)


def test_a_shard_of_which_all_is_broken_leaves_the_others(folder):
  other = shard(folder).with_name('train-other.tfrecord')
  examples = read(folder)
  with tf.io.TFRecordWriter(str(other)) as writer:
    for example in examples:
      set_picture(example)
      example.features.feature['image/source_id'].bytes_list.value[0] += b'0'
      writer.write(example.SerializeToString())
  task, data = make(folder)
  assert set(ids(task, data, 24)) == {1, 2, 3, 4}
  assert figures(task) == {'skipped_records': 4}


def test_boxes_without_use_and_pictures_without_any(folder):
  """Of the two instances of picture 1 the first has a NaN; the box of picture 2 has no area."""
  examples = read(folder)
  examples[0].features.feature['image/object/bbox/ymin'].float_list.value[0] = _NAN
  width = examples[1].features.feature
  width['image/object/bbox/xmax'].float_list.value[0] = width[
    'image/object/bbox/xmin'
  ].float_list.value[0]
  write(folder, examples)
  task, data = make(folder)
  found = ids(task, data)
  counts = {number: int(np.sum(labels['gt_classes'] > 0)) for number, labels in found.items()}
  assert counts == {1: 1, 2: 0, 3: 1, 4: 0}
  assert all(np.isfinite(labels['gt_boxes']).all() for labels in found.values())
  assert figures(task) == {'skipped_instances': 2}


def test_a_thousand_instances_train_on_the_first(folder):
  examples = read(folder)
  for key, feature in examples[1].features.feature.items():
    if key.startswith('image/object/'):
      values = getattr(feature, feature.WhichOneof('kind')).value
      values.extend(list(values) * 999)
  examples[1].features.feature['image/object/class/label'].int64_list.value[0] = 2
  write(folder, examples)
  task, data = make(folder)
  labels = ids(task, data)[2]
  assert labels['gt_classes'].numpy().tolist() == [[2, 1, 1, 1]]
  assert figures(task) == {'instances_over_limit': 996}


def test_evaluation_says_what_it_left_out(folder, caplog):
  examples = read(folder)
  set_picture(examples[1])
  write(folder, examples)
  task, _ = make(folder)
  model, state, found = task.build_model(), None, []
  for batch in task.build_inputs(task.task_config.validation_data):
    found += batch[1]['source_id'].numpy().tolist()
    state = task.aggregate_logs(state, task.validation_step(batch, model))
  assert sorted(found) == [1, 3, 4]
  values = task.reduce_aggregated_logs(state)
  assert values['skipped_records'] == 1 and values['skipped_shards'] == 0
  assert 'image id 2: cannot be parsed' in caplog.text
  assert '1 of the 4 annotated images were not predicted' in caplog.text
