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

  def use_averages(self, in_model):
    pass


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


class _Manager:
  """A manager of checkpoints that notes the steps it saves, in a list of events."""

  def __init__(self, interval, events):
    self.checkpoint_interval, self._events = interval, events

  def save(self, step, **_):
    self._events.append(('save', step))

  def sync(self):
    pass


class _EventLoop(_Loop):
  """A loop that also notes evaluations in a list of events."""

  def __init__(self, start, events):
    super().__init__(start)
    self._events = events

  def evaluate(self, num_steps):
    self._events.append(('evaluate', int(self.step.numpy())))
    return super().evaluate(num_steps)


@pytest.mark.parametrize('start', [0, 7])
def test_every_step_that_is_evaluated_is_saved_before(tmp_path, start, monkeypatch):
  """A kill in an evaluation then loses no step, also after a start between two checkpoints."""
  events = []
  loop = _EventLoop(start, events)
  monkeypatch.setattr(controller.Controller, 'restore_checkpoint', lambda self: None)
  found = controller.Controller(
    run_log=_Log(start, []),
    trainer=loop,
    evaluator=loop,
    global_step=loop.step,
    steps_per_loop=5,
    checkpoint_manager=_Manager(10, events),
    summary_dir=str(tmp_path),
    eval_summary_dir=str(tmp_path),
  )
  found.train_and_evaluate(25, eval_interval=10)
  assert events == [(kind, step) for step in (10, 20, 25) for kind in ('save', 'evaluate')]
