"""Tests of the trainer of a run."""

import pytest
import tf_keras
from official.core import base_trainer

from htc_tf.training.trainer import Trainer


@pytest.mark.parametrize('num_steps,expected', [(0, 0.5), (1, 0.5), (2, 0.375), (4, 0.125)])
def test_the_reported_learning_rate_is_that_of_the_last_step(num_steps, expected, monkeypatch):
  """Model Garden reports that of the next step, which is 0 at the end of such a schedule."""
  found = {'total_loss': 1.0, 'learning_rate': 9.0}
  monkeypatch.setattr(base_trainer.Trainer, 'train_loop_end', lambda self: found)
  trainer = Trainer.__new__(Trainer)
  rate = tf_keras.optimizers.schedules.PolynomialDecay(0.5, 4, end_learning_rate=0.0)
  trainer._optimizer = tf_keras.optimizers.legacy.SGD(rate)
  trainer._optimizer.iterations.assign(num_steps)
  logs = trainer.train_loop_end()
  assert float(logs['learning_rate']) == expected
  assert logs['total_loss'] == 1.0


def test_a_constant_learning_rate_is_reported_as_it_is(monkeypatch):
  found = {'learning_rate': 0.25}
  monkeypatch.setattr(base_trainer.Trainer, 'train_loop_end', lambda self: found)
  trainer = Trainer.__new__(Trainer)
  trainer._optimizer = tf_keras.optimizers.legacy.SGD(0.25)
  assert trainer.train_loop_end() == found
