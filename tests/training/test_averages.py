"""Tests of averaged weights: which copy of the weights a model and its checkpoints hold."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.modeling import optimization

from htc_tf.training.averages import Averages

DECAY = 0.5


class Averaged:
  """A weight [2] that is trained with averages, and its checkpoint."""

  def __init__(self):
    layer = tf_keras.layers.Dense(1, use_bias=False)
    layer.build([None, 2])
    self.model = tf_keras.Sequential([layer])
    self.model.build([None, 2])
    sgd = tf_keras.optimizers.legacy.SGD(1.0)
    self.optimizer = optimization.ExponentialMovingAverage(
      sgd, average_decay=DECAY, dynamic_decay=False
    )
    self.optimizer.shadow_copy(self.model)
    self.averages = Averages.of(self.optimizer)
    self.checkpoint = tf.train.Checkpoint(model=self.model, optimizer=self.optimizer)

  def set_weight(self, value):
    self.model.trainable_variables[0].assign([[value], [value]])

  @property
  def weight(self):
    return float(self.model.trainable_variables[0].numpy()[0, 0])

  def step(self, gradient):
    variable = self.model.trainable_variables[0]
    self.optimizer.apply_gradients([(tf.fill([2, 1], gradient), variable)])


def make(value=8.0):
  averaged = Averaged()
  averaged.set_weight(value)
  averaged.averages.start()
  return averaged


def test_the_averages_start_at_the_weights():
  averaged = make(8.0)
  averaged.averages.use(True)
  assert averaged.weight == 8.0
  averaged.averages.use(False)
  averaged.step(4.0)  # 8 - 4 = 4; the average is half of the way.
  averaged.averages.use(True)
  assert averaged.weight == 6.0


def test_asking_twice_changes_nothing():
  averaged = make()
  averaged.step(4.0)
  for in_model, expected in ((True, 6.0), (True, 6.0), (False, 4.0), (False, 4.0)):
    averaged.averages.use(in_model)
    assert averaged.weight == expected


def test_exchanging_does_not_round():
  """Model Garden's exchange by sums and differences would change both copies."""
  averaged = make(1e8)
  averaged.step(1e8 - 0.1)
  trained = averaged.weight
  for in_model in (True, False) * 3:
    averaged.averages.use(in_model)
  assert averaged.weight == trained


def test_a_checkpoint_holds_the_averages_in_the_model_and_continues_with_the_weights(tmp_path):
  first = make()
  first.step(4.0)
  first.averages.use(True)
  prefix = first.checkpoint.save(str(tmp_path / 'ckpt'))
  reader = tf.train.load_checkpoint(prefix)
  (stored,) = (
    reader.get_tensor(key)
    for key in reader.get_variable_to_shape_map()
    if key.startswith('model/') and '/kernel/.ATTRIBUTES' in key
  )
  np.testing.assert_array_equal(stored, [[6.0], [6.0]])
  again = Averaged()
  again.checkpoint.restore(prefix).expect_partial()
  again.averages.restored(prefix)
  assert again.weight == 6.0
  again.averages.use(False)
  assert again.weight == 4.0
  again.step(1.0)
  again.averages.use(True)
  assert again.weight == 4.5  # Half of 6 and 3.


def test_a_checkpoint_without_averages_starts_them_anew(tmp_path):
  model = make(5.0).model
  prefix = tf.train.Checkpoint(model=model).save(str(tmp_path / 'ckpt'))
  again = Averaged()
  again.checkpoint.restore(prefix).expect_partial()
  again.averages.restored(prefix)
  again.averages.use(False)
  assert again.weight == 5.0
  again.averages.use(True)
  assert again.weight == 5.0


def test_other_optimizers_keep_no_averages():
  assert Averages.of(tf_keras.optimizers.legacy.SGD(1.0)) is None


def test_replicas_exchange_the_same_weights(two_replicas):
  with two_replicas.scope():
    averaged = make()
    two_replicas.run(lambda: averaged.step(2.0))  # The gradients of both replicas are added.
    averaged.averages.use(True)
    values = [v.numpy()[0, 0] for v in averaged.model.trainable_variables[0].values]
  assert values == pytest.approx([6.0, 6.0])
  averaged.averages.use(False)
  values = [v.numpy()[0, 0] for v in averaged.model.trainable_variables[0].values]
  assert values == pytest.approx([4.0, 4.0])
