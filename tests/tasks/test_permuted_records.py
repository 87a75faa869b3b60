"""Tests of training records in permutations, as the configuration asks for them."""

import itertools

import pytest
import tensorflow as tf

from htc_tf import registry_imports  # noqa: F401
from htc_tf.configs import task as task_config
from htc_tf.data.skipped import SkipCounter
from htc_tf.tasks import permuted_records
from htc_tf.tasks.htc import HTCTask
from tests import tiny_records


@pytest.fixture(scope='module', name='pattern')
def _pattern(tmp_path_factory):
  """Pattern of the records of four images."""
  return tiny_records.write(tmp_path_factory.mktemp('records'))


def data_config(pattern, **values):
  return task_config.DataConfig(
    is_training=True, input_path=pattern, shuffle='permutation', permutation_seed=3
  ).replace(**values)


def read(config, count, context=None):
  dataset = permuted_records.permuted_records(config, SkipCounter(), context)
  return [
    tf.train.Example.FromString(record).features.feature['image/source_id'].bytes_list.value[0]
    for record in dataset.take(count).as_numpy_iterator()
  ]


def test_two_workers_share_an_epoch_and_continue_at_their_places(pattern):
  contexts = [tf.distribute.InputContext(2, worker, 2) for worker in range(2)]
  shares = [read(data_config(pattern), 4, context) for context in contexts]
  whole = read(data_config(pattern), 8)
  assert [number for pair in zip(*shares) for number in pair] == whole
  assert sorted(whole[:4]) == sorted(whole[4:]) == [b'1', b'2', b'3', b'4']
  # Both together have read 6 records.
  later = [read(data_config(pattern, num_read=6), 1, context) for context in contexts]
  assert later == [[share[3]] for share in shares]


@pytest.mark.parametrize('values', [{'cache': True}, {'enable_tf_data_service': True}])
def test_an_obstacle_is_logged_and_a_buffer_takes_the_place(pattern, values, caplog):
  config = data_config(pattern, **values)
  assert permuted_records.permuted_records(config, SkipCounter()) is None
  assert f'not possible with {next(iter(values))}' in caplog.text


@pytest.mark.parametrize('values', [{'shuffle': 'buffer'}, {'is_training': False}])
def test_other_pipelines_are_not_permuted(pattern, values):
  assert permuted_records.permuted_records(data_config(pattern, **values), SkipCounter()) is None


def test_batches_of_the_task_are_permutations(pattern):
  """The buffer of the reader does not mix the epochs."""
  params = tiny_records.reduced('htc_resnet50fpn_1x_coco', pattern).task
  params.train_data.override({'deterministic': True, 'permutation_seed': 3})
  assert params.train_data.shuffle == task_config.PERMUTATION
  batches = HTCTask(params).build_inputs(params.train_data).as_numpy_iterator()
  found = [int(n) for _, labels in itertools.islice(batches, 6) for n in labels['source_id']]
  assert found == [int(number) for number in read(params.train_data, 12)]
