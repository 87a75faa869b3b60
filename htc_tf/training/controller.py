"""Orbit's controller with this package's reports, checkpoints and evaluations."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import orbit
import tensorflow as tf
from absl import logging

from htc_tf.checkpoints import restoration
from htc_tf.training import continuous_evaluation, report
from htc_tf.training.run_log import RunLog, steps_to_report


class Controller(orbit.Controller):
  """The loop over training, reports, checkpoints and evaluations.

  Orbit's own loop prints and logs every message, each figure on a line, and evaluates at steps that
  depend on where a run was interrupted. An evaluation here uses the model as a checkpoint would
  store it: without synchronized batch norm, every replica has different running statistics, and a
  checkpoint holds their mean.

  Args:
    run_log: the reports of a training; None for an evaluation alone.
    checkpoint_manager: manager of the checkpoints, from which the model is restored.
    **kwargs: arguments of orbit's controller.
  """

  def __init__(
    self,
    *,
    run_log: RunLog | None = None,
    checkpoint_manager: tf.train.CheckpointManager | None = None,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._run_log = run_log
    self.checkpoint_manager: Any = checkpoint_manager
    if checkpoint_manager is not None:
      self.restore_checkpoint()
    self._saved_step = self._step()

  def _step(self) -> int:
    return int(self.global_step.numpy())

  @property
  def steps_per_loop(self) -> int:
    """Number of steps until the next report."""
    start = self._run_log.start if self._run_log else 0
    return steps_to_report(self._step(), start, self._steps_per_loop)

  def train(self, steps: int, checkpoint_at_completion: bool = True) -> None:
    """Train up to a step; see orbit's controller."""
    while (step := self._step()) < steps:
      self._train_n_steps(min(steps - step, self.steps_per_loop))
      self._maybe_save_checkpoint()
    if checkpoint_at_completion:
      self._maybe_save_checkpoint(check_interval=False)
    if self.checkpoint_manager is not None:
      self.checkpoint_manager.sync()

  def train_and_evaluate(
    self, train_steps: int, eval_steps: int = -1, eval_interval: int | None = None
  ) -> orbit.runner.Output | None:
    """Train with evaluations at multiples of an interval and at the end; return the last one.

    If the run was interrupted in an evaluation, whose step is saved, that evaluation comes first.

    Args:
      train_steps: the last step, unless the evaluations end the training before it.
      eval_steps: number of steps of an evaluation; -1 for all images.
      eval_interval: the interval; None to evaluate only at the end.
    """
    output, interval = None, eval_interval or train_steps
    if self._lacks_evaluation(train_steps, interval):
      output = self.evaluate(eval_steps)
    while (step := self._step()) < train_steps and not self._stops():
      next_step = min(train_steps, step - step % interval + interval)
      # An interruption in the last evaluation does not lose the last steps.
      self.train(next_step, checkpoint_at_completion=next_step == train_steps)
      output = self.evaluate(eval_steps)
    self._maybe_save_checkpoint(check_interval=False)
    if self.checkpoint_manager is not None:
      self.checkpoint_manager.sync()
    return output

  def _lacks_evaluation(self, train_steps: int, interval: int) -> bool:
    """Whether the step that the run continues from should have been evaluated, and was not."""
    step = self._step()
    is_due = 0 < step <= train_steps and (step % interval == 0 or step == train_steps)
    return is_due and self._run_log is not None and self._run_log.stopping.last_step != step

  def _stops(self) -> bool:
    return self._run_log is not None and self._run_log.stopping.stops

  def _train_n_steps(self, num_steps: int) -> None:
    """Train some steps, report them and write their summaries."""
    start = time.monotonic()
    with (
      self.summary_manager.summary_writer().as_default(),
      tf.summary.record_if(self._records_summaries),
    ):
      logs = self.trainer.train(tf.constant(num_steps, tf.int32))
    for action in self.train_actions:
      action(logs)
    values = _numbers(logs)
    logging.debug('step %d: %s', self._step(), values)
    if self._run_log is not None:
      seconds = time.monotonic() - start
      values = self._run_log.report(self._step(), num_steps, values, seconds)
    self.summary_manager.write_summaries(values)
    self.summary_manager.flush()

  def _records_summaries(self) -> tf.Tensor:
    return tf.equal(self.global_step % (self.summary_interval or 1), 0)

  def evaluate(self, steps: int = -1) -> orbit.runner.Output | None:
    """The figures of an evaluation, which are also reported; see orbit's controller."""
    if self.strategy.num_replicas_in_sync > 1:
      for variable in self.evaluator.model.non_trainable_variables:
        if variable.synchronization == tf.VariableSynchronization.ON_READ:
          variable.assign(variable.read_value())
    start = time.monotonic()
    with self.eval_summary_manager.summary_writer().as_default():
      output = self.evaluator.evaluate(tf.constant(steps, tf.int32)) or {}
    for action in self.eval_actions:
      action(output)
    figures = _numbers(output)
    logging.debug('evaluation at step %d: %s', self._step(), figures)
    if self._run_log is not None:
      self._run_log.evaluated(self._step(), figures, time.monotonic() - start)
    self.eval_summary_manager.write_summaries(report.figure_scalars(figures))
    self.eval_summary_manager.flush()
    return figures

  def evaluate_continuously(
    self,
    steps: int = -1,
    timeout: float | None = None,
    timeout_fn: Callable[[], bool] | None = None,
  ) -> orbit.runner.Output | None:
    """The result of the last evaluation; see `evaluate_new_checkpoints`."""

    def evaluate(prefix: str) -> orbit.runner.Output | None:
      self.restore_checkpoint(prefix)
      return self.evaluate(steps)

    return continuous_evaluation.evaluate_new_checkpoints(
      self.checkpoint_manager.directory, evaluate, timeout or 0, timeout_fn or (lambda: False)
    )

  def restore_checkpoint(self, checkpoint_path: str | None = None) -> str | None:
    """Restore or initialize as orbit does; raise CheckpointError if the model would not be filled.

    TensorFlow leaves variables that a checkpoint lacks at their random initial values, and only
    logs a warning, which it also logs for optimizer state that an evaluation does not need.
    """
    path = checkpoint_path or self.checkpoint_manager.latest_checkpoint
    with self.strategy.scope():
      if path is None:
        return self.checkpoint_manager.restore_or_initialize()
      trainer = self.trainer or self.evaluator
      restoration.check_fits(path, {'model': trainer.model})
      trainer.restore(path)
    logging.info('Restored the model from %s', path)
    return path

  def _maybe_save_checkpoint(self, check_interval: bool = True) -> bool:
    """Save a checkpoint if one is due; return whether it was saved.

    Checkpoints are due at multiples of their interval, as evaluations are, also after a start at
    another step. So an evaluation that is interrupted can be repeated without training again.

    Args:
      check_interval: whether to save only if a multiple of the interval was passed.
    """
    manager, step = self.checkpoint_manager, self._step()
    if manager is None or not manager.checkpoint_interval or step == self._saved_step:
      return False
    interval = manager.checkpoint_interval
    if check_interval and step // interval == self._saved_step // interval:
      return False
    self.trainer.use_averages(True)
    manager.save(step, check_interval=False, options=self._checkpoint_options)
    self.trainer.use_averages(False)
    self._saved_step = step
    return True


def _numbers(output: Mapping[str, Any]) -> dict[str, float]:
  """Figures as plain numbers."""
  return {name: float(orbit.utils.get_value(value)) for name, value in output.items()}
