"""Tests of the loop over training and evaluations."""

import orbit
import pytest
import tensorflow as tf

from htc_tf.training import controller
from htc_tf.training.early_stopping import EarlyStopping


class _Loop(orbit.AbstractTrainer, orbit.AbstractEvaluator):
  """A trainer that counts steps, and an evaluator that lists the steps of its evaluations."""

  def __init__(self, start: int):
    self.step = tf.Variable(start, dtype=tf.int64)
    self.evaluated: list[int] = []

  def train(self, num_steps):
    self.step.assign_add(int(num_steps))
    return {}

  def evaluate(self, num_steps):
    self.evaluated.append(int(self.step.numpy()))
    return {'segm_AP': 0.5}


class _Log:
  """The reports of a run with evaluations of earlier starts, which writes nothing."""

  def __init__(self, start, history):
    self.start = start
    self.stopping = EarlyStopping('segm_AP', 0, history=history)

  def report(self, step, num_steps, values, seconds):
    return {}

  def evaluated(self, step, figures, seconds):
    self.stopping.add(step, figures['segm_AP'])


@pytest.mark.parametrize(
  'start,earlier,evaluated',
  [
    (0, [], [10, 20, 25]),
    (7, [], [10, 20, 25]),
    (10, [10], [20, 25]),
    (10, [], [10, 20, 25]),  # The start before ended in the evaluation.
    (20, [10], [20, 25]),
    (25, [10, 20], [25]),
    (25, [10, 20, 25], []),
    (30, [10, 20], []),  # The training became shorter.
  ],
)
def test_an_evaluation_that_was_interrupted_comes_first(tmp_path, start, earlier, evaluated):
  loop = _Loop(start)
  found = controller.Controller(
    run_log=_Log(start, [(step, 0.5) for step in earlier]),
    trainer=loop,
    evaluator=loop,
    global_step=loop.step,
    steps_per_loop=5,
    summary_dir=str(tmp_path),
    eval_summary_dir=str(tmp_path),
  )
  found.train_and_evaluate(25, eval_interval=10)
  assert loop.evaluated == evaluated
  assert int(loop.step.numpy()) == max(start, 25)
