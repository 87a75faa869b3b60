"""Tests of the training command with broken steps and damaged data."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.tasks.htc import HTCTask
from tests import tiny_records
from tests.cli import small_trainings


def train_with_a_broken_step(run, records, tmp_path, monkeypatch, overrides=''):
  """Train four steps with a checkpoint after each; a box loss of the third step is NaN."""
  calls = tf.Variable(0)
  build_losses = HTCTask.build_losses

  def with_nan(self, *args):
    losses = build_losses(self, *args)
    is_broken = tf.equal(calls.assign_add(1), 3)
    names = ('stage0_box_loss', 'total_loss')
    return {**losses, **{name: tf.where(is_broken, np.nan, losses[name]) for name in names}}

  monkeypatch.setattr(HTCTask, 'build_losses', with_nan)
  params = tiny_records.reduced('htc_nuclei', records)
  params.task.model.cascade.stages = params.task.model.cascade.stages[:1]
  config = small_trainings.write_config(
    tmp_path / 'config.yaml',
    params,
    train_steps=4,
    steps_per_loop=1,
    summary_interval=1,
    checkpoint_interval=1,
  )
  return run(experiment='htc_nuclei', config_file=[config], params_override=overrides)


def assert_finite_checkpoint(folder, step):
  latest = tf.train.latest_checkpoint(str(folder))
  assert latest.endswith(f'ckpt-{step}')
  reader = tf.train.load_checkpoint(latest)
  names = [name for name in reader.get_variable_to_shape_map() if name.startswith('model')]
  assert names and all(np.isfinite(reader.get_tensor(name)).all() for name in names)


def test_a_step_that_is_not_finite_stops_with_the_last_checkpoint_intact(
  run, records, tmp_path, monkeypatch, caplog
):
  with pytest.raises(SystemExit) as stop:
    train_with_a_broken_step(run, records, tmp_path, monkeypatch)
  assert stop.value.code == 1
  message = caplog.records[-1].message
  assert (
    message.startswith('The loss or a gradient of step 3 is not finite, image ids ')
    and '\n' not in message
  )
  assert 'Got: stage0_box_loss = nan, total_loss = nan' in message
  assert_finite_checkpoint(tmp_path / 'model', 2)


def test_a_step_that_is_not_finite_can_be_skipped(run, records, tmp_path, monkeypatch, caplog):
  folder = train_with_a_broken_step(
    run, records, tmp_path, monkeypatch, 'task.skip_non_finite_steps=true'
  )
  assert (
    'Skipped (1 so far): The loss or a gradient of step 3 is not finite, image ids ' in caplog.text
  )
  assert_finite_checkpoint(folder, 4)
  assert figures(folder, 'skipped/skipped_steps') == {1: 0, 2: 0, 3: 1, 4: 1}
  losses = figures(folder, 'loss/stage0_box_loss')
  assert losses[3] == 0 and all(losses[step] > 0 for step in (1, 2, 4))


def figures(folder, tag):
  """Values of a tag by step."""
  return {
    event.step: float(tf.make_ndarray(value.tensor))
    for path in folder.rglob('events*')
    for event in tf.compat.v1.train.summary_iterator(str(path))
    for value in event.summary.value
    if value.tag == tag
  }


def change_records(path, change):
  """Rewrite a shard after calling `change` with number and features of each example."""
  examples = [
    tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))
  ]
  with tf.io.TFRecordWriter(str(path)) as writer:
    for number, example in enumerate(examples):
      change(number, example.features.feature)
      writer.write(example.SerializeToString())


def damage_some(number, features):
  """Break the image of record 1, and put a NaN into a box of record 0."""
  if number == 1:
    features['image/encoded'].bytes_list.value[0] = b'no image'
  if number == 0:
    features['image/object/bbox/ymin'].float_list.value[0] = np.nan


def test_damaged_data_is_skipped_and_counted_in_training_and_evaluation(run, tmp_path, caplog):
  pattern = tiny_records.write(tmp_path)
  (shard,) = (tmp_path / 'records').glob('*.tfrecord')
  change_records(shard, damage_some)
  shard.with_name('train-cut.tfrecord').write_bytes(shard.read_bytes()[:-10])
  params = tiny_records.reduced('htc_nuclei', pattern)
  params.task.model.cascade.stages = params.task.model.cascade.stages[:1]
  config = small_trainings.write_config(
    tmp_path / 'config.yaml',
    params,
    train_steps=3,
    steps_per_loop=1,
    summary_interval=1,
    checkpoint_interval=3,
    validation_interval=3,
    validation_steps=-1,
  )
  folder = run(
    mode='train_and_eval',
    experiment='htc_nuclei',
    config_file=[config],
    params_override='task.train_data.shuffle_buffer_size=20',
  )
  assert_finite_checkpoint(folder, 3)
  assert 'image id 2: cannot be parsed' in caplog.text
  assert 'train-cut.tfrecord: truncated or damaged after' in caplog.text
  assert 'image id 1: 1 instances. So far 1 instances without a usable box' in caplog.text
  for name, number in (('skipped_shards', 1), ('skipped_records', 1)):
    assert figures(folder / 'train', f'skipped/{name}')[3] == number
    assert figures(folder / 'validation', f'skipped/{name}') == {3: number}
  assert figures(folder / 'train', 'skipped/skipped_instances')[3] == 1


def test_data_without_any_usable_record_is_an_error_before_training(run, tmp_path, caplog):
  pattern = tiny_records.write(tmp_path)
  for path in (tmp_path / 'records').glob('*.tfrecord'):
    path.write_bytes(path.read_bytes()[:100])
  config = small_trainings.write_config(
    tmp_path / 'config.yaml', tiny_records.reduced('htc_nuclei', pattern), train_steps=1
  )
  small_trainings.assert_fails(
    run, caplog, 'The data cannot be used', experiment='htc_nuclei', config_file=[config]
  )
  assert 'truncated or damaged after 0 of 100 bytes' in caplog.records[-1].message
  assert not tf.train.latest_checkpoint(str(tmp_path / 'model'))
