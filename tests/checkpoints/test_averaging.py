"""Tests of the mean of the weights of several checkpoints."""

import os

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.checkpoints import averaging, model_directory
from htc_tf.errors import CheckpointError, InputError
from tests.serving import tiny_model


class Part(tf.Module):
  """A module with one variable of each kind."""

  def __init__(self, kernel, half=0.0, count=0, name=None):
    super().__init__(name=name)
    self.kernel = tf.Variable(kernel, dtype=tf.float32)
    self.half = tf.Variable(half, dtype=tf.float16)
    self.count = tf.Variable(count, dtype=tf.int64)


def save(folder, step, part, name='ckpt', **others):
  """Write a checkpoint whose model is `part`, and return its prefix."""
  return tf.train.Checkpoint(model=part, **others).write(os.path.join(folder, f'{name}-{step}'))


@pytest.fixture(name='prefixes')
def _prefixes(tmp_path):
  values = ([1.0, 2.0], 1.0, 5), ([2.0, 4.0], 2.0, 6), ([6.0, -3.0], 4.5, 7)
  other = tf.Variable(3)  # Stands for what is not part of the model.
  return [
    save(tmp_path, 9 + number, Part(*value), other=other) for number, value in enumerate(values)
  ]


def test_the_mean_is_that_of_each_variable_and_integers_are_those_of_the_last(prefixes):
  averaging.check_alike(prefixes)
  part = Part([0.0, 0.0])
  averaging.load_mean(part, prefixes)
  np.testing.assert_array_equal(part.kernel, [3.0, 1.0])
  assert part.half == 2.5 and part.half.dtype == tf.float16
  assert part.count == 7


def test_the_sum_is_that_of_float64(tmp_path):
  """In float32, 1 is lost beside 2^25: the sum would be 0, and the mean too."""
  values = 2.0**25, 1.0, -(2.0**25)
  prefixes = [save(tmp_path, step, Part([value])) for step, value in enumerate(values)]
  part = Part([0.0])
  averaging.load_mean(part, prefixes)
  np.testing.assert_array_equal(part.kernel, np.float32([1 / 3]))


def test_the_mean_of_equal_weights_is_bit_identical(tmp_path):
  value = np.random.default_rng(0).normal(size=1000).astype(np.float32)
  prefixes = [save(tmp_path, step, Part(value)) for step in range(7)]
  part = Part(np.zeros(1000))
  averaging.load_mean(part, prefixes)
  np.testing.assert_array_equal(part.kernel, value)


def test_the_last_checkpoints_are_those_with_the_highest_steps(tmp_path, prefixes):
  assert averaging.last_of(str(tmp_path), None) == prefixes  # 9, 10 and 11, not 10, 11 and 9.
  assert averaging.last_of(str(tmp_path), 2) == prefixes[1:]
  best = tmp_path / 'best'
  names = [save(best, step, Part([1.0]), name='best_ckpt') for step in (20, 100)]
  assert averaging.last_of(str(best), 2) == names


@pytest.mark.parametrize(
  'number,error,message',
  [
    (1, InputError, '2 or more .--last.*Got: 1'),
    (4, CheckpointError, 'too few.*4 or more.*Got: ckpt-9, ckpt-10, ckpt-11.*max_to_keep'),
  ],
)
def test_too_few_checkpoints_are_an_error(tmp_path, prefixes, number, error, message):
  with pytest.raises(error, match=message):
    averaging.last_of(str(tmp_path), number)


def test_a_directory_without_checkpoints_is_an_error(tmp_path):
  with pytest.raises(CheckpointError, match=r'Got: none.*misspelled'):
    averaging.last_of(str(tmp_path / 'none'), None)
  (tmp_path / 'saved_model.pb').touch()
  with pytest.raises(CheckpointError, match='is an export'):
    averaging.last_of(str(tmp_path), None)


def test_one_checkpoint_and_one_by_two_names_are_refused(tmp_path, prefixes):
  with pytest.raises(InputError, match=r'two or more.*--model=DIRECTORY'):
    averaging.check_alike(prefixes[:1])
  (tmp_path / 'link').symlink_to(tmp_path)
  with pytest.raises(InputError, match='one checkpoint by two names'):
    averaging.check_alike([prefixes[0], str(tmp_path / 'link' / 'ckpt-9')])


def test_other_shapes_and_names_are_named_with_both_checkpoints(tmp_path, prefixes):
  wide = save(tmp_path, 1, Part([1.0, 2.0, 3.0]), name='wide')
  with pytest.raises(CheckpointError) as error:
    averaging.check_alike([prefixes[0], prefixes[1], wide])
  text = str(error.value)
  assert f'model/kernel: (2,) as in {prefixes[0]}' in text and f'(3,) in {wide}' in text
  more = Part([1.0, 2.0])
  more.bias = tf.Variable([0.0])
  more = save(tmp_path, 1, more, name='more')
  for pair in ((prefixes[0], more), (more, prefixes[0])):
    with pytest.raises(CheckpointError, match=r'model/bias: .*no such variable'):
      averaging.check_alike(pair)


def test_other_classes_are_an_error(tmp_path):
  prefixes = []
  for number, names in enumerate([('cat', 'dog'), ('cat', 'fox')]):
    folder = str(tmp_path / str(number))
    model_directory.save_dataset_info(folder, tiny_model._dataset_info(names))
    prefixes.append(save(folder, 1, Part([1.0])))
  with pytest.raises(CheckpointError, match=r'cat, dog as in .*0/ckpt-1.*cat, fox in .*1/ckpt-1'):
    averaging.check_alike(prefixes)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(tmp_path, prefixes, value):
  broken = save(tmp_path, 12, Part([1.0, value]))
  with pytest.raises(CheckpointError, match=f'{broken} has.*1 of 2 in model/kernel.*diverged'):
    averaging.load_mean(Part([0.0, 0.0]), [*prefixes, broken])


def test_a_truncated_checkpoint_is_named(tmp_path, prefixes):
  data = f'{prefixes[1]}.data-00000-of-00001'
  with open(data, 'r+b') as file:
    file.truncate(4)
  with pytest.raises(CheckpointError, match=f'{prefixes[1]} cannot be read'):
    averaging.load_mean(Part([0.0, 0.0]), prefixes)
