"""The parts of Model Garden's loop that differ: the controller, and the runners of the workers."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import orbit
import tensorflow as tf
import tf_keras
from absl import logging
from official.core import train_lib
from official.modeling import optimization

from htc_tf.checkpoints import last_good, restoration
from htc_tf.training import continuous_evaluation

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Controller(orbit.Controller):
  """A controller that evaluates the model as a checkpoint would store it.

  Without synchronized batch norm, every replica has different running statistics, and would use
  them in an evaluation; a checkpoint holds their mean.
  """

  def evaluate(self, steps: int = -1) -> orbit.runner.Output | None:
    """The result of orbit's evaluation, after setting all replicas' statistics to their mean."""
    if self.trainer is not None and _averages_weights(self.trainer.optimizer):
      # An evaluation exchanges the weights for their averages. If it is interrupted, the state
      # before it is saved already.
      self._maybe_save_checkpoint(check_interval=False)
    if self.strategy.num_replicas_in_sync > 1:
      for variable in self.evaluator.model.non_trainable_variables:
        if variable.synchronization == tf.VariableSynchronization.ON_READ:
          variable.assign(variable.read_value())
    return super().evaluate(steps)

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
    if path is None:
      return super().restore_checkpoint()
    model = (self.trainer or self.evaluator).model
    restoration.check_fits(path, {'model': model})
    with self.strategy.scope():
      self.checkpoint_manager.checkpoint.restore(path).expect_partial()
    logging.info('Restored the model from %s', path)
    return path


def _averages_weights(optimizer: tf_keras.optimizers.Optimizer) -> bool:
  return isinstance(optimizer, optimization.ExponentialMovingAverage)


@contextlib.contextmanager
def _signals_ignored() -> Iterator[None]:
  """A context in which further signals do not disturb the end of a run."""
  if threading.current_thread() is not threading.main_thread():
    yield
    return
  previous = {number: signal.signal(number, signal.SIG_IGN) for number in _SIGNALS}
  try:
    yield
  finally:
    for number, handler in previous.items():
      signal.signal(number, handler)


class Runner(train_lib.OrbitExperimentRunner):
  """The runner of a single process or of the chief; an interruption saves a checkpoint.

  Args:
    continue_from: prefix of the checkpoint that the run continues from; None if it initializes the
      model.
    **kwargs: arguments of Model Garden's runner.
  """

  def __init__(self, continue_from: str | None, **kwargs: Any):
    self._continue_from = continue_from
    super().__init__(controller_cls=Controller, **kwargs)

  def _maybe_build_checkpoint_manager(self) -> tf.train.CheckpointManager:
    return self._build_manager(self.params.trainer.max_to_keep, self.trainer.initialize)

  def _build_manager(
    self, max_to_keep: int, initialize: Callable[[], None]
  ) -> tf.train.CheckpointManager:
    return tf.train.CheckpointManager(
      self.trainer.checkpoint,
      self.model_dir,
      max_to_keep=max_to_keep,
      step_counter=self.trainer.global_step,
      checkpoint_interval=self.params.trainer.checkpoint_interval,
      last_checkpoint_step=last_good.step_of(self._continue_from),
      init_fn=initialize,
    )

  def run(self) -> None:
    """Run the experiment in its mode.

    Raises:
      KeyboardInterrupt: the run was interrupted. In a training of a single process, the state of
        the last complete step is saved first; the exception says so.
    """
    try:
      with self.strategy.scope():
        self._run_mode()
    except KeyboardInterrupt as interruption:
      logging.info('Interrupted: saving the last complete step, which may take some seconds')
      with _signals_ignored():
        interruption.args = (self._save_after_interruption(),)
      raise

  def _run_mode(self) -> None:
    trainer, controller = self.params.trainer, self.controller
    if self._mode == 'continuous_eval':
      controller.evaluate_continuously(
        steps=trainer.validation_steps,
        timeout=trainer.continuous_eval_timeout,
        timeout_fn=lambda: self.trainer.global_step.numpy() >= trainer.train_steps,
      )
    elif self._mode == 'train_and_eval':
      controller.train_and_evaluate(
        trainer.train_steps, trainer.validation_steps, trainer.validation_interval
      )
    else:
      if 'train' in self._mode:
        controller.train(trainer.train_steps)
      if 'eval' in self._mode:
        controller.evaluate(trainer.validation_steps)

  def _save_after_interruption(self) -> str:
    """Save the training's state if it is newer than the last checkpoint; return a line about it."""
    if 'train' not in self._mode:
      return 'interrupted; nothing was changed, and the same command starts the evaluation again'
    step = int(self.trainer.global_step.numpy())
    saved = last_good.step_of(self.checkpoint_manager.latest_checkpoint)
    if self.strategy.extended._in_multi_worker_mode():
      return f'interrupted at step {step}; the same commands continue from step {saved}'
    if step > saved:
      # A new manager, because the run's own one saves at its interval only, and takes a checkpoint
      # that was interrupted for a complete one.
      manager = tf.train.CheckpointManager(
        self.trainer.checkpoint, self.model_dir, self.params.trainer.max_to_keep
      )
      path = manager.save(checkpoint_number=step)
      return f'interrupted: saved step {step} as {path}; the same command continues from there'
    if not step:
      return 'interrupted before the first step; the same command starts again'
    return f'interrupted at step {step}, which is saved; the same command continues from there'


class FollowerRunner(Runner):
  """The runner of a worker that is not the chief; it continues from the chief's checkpoint.

  Whenever the chief saves a checkpoint, this worker saves one too, into another folder, because
  reading a variable may need all workers.

  Args:
    continue_from: prefix of the checkpoint that the chief continues from; None if the chief
      initializes the model.
    **kwargs: arguments of Model Garden's runner; `model_dir` is a folder of this worker.
  """

  def __init__(self, continue_from: str | None, **kwargs: Any):
    super().__init__(continue_from, save_summary=False, **kwargs)

  def _maybe_build_checkpoint_manager(self) -> tf.train.CheckpointManager:
    return self._build_manager(1, self._restore_or_initialize)

  def _restore_or_initialize(self) -> None:
    if self._continue_from:
      self.trainer.checkpoint.restore(self._continue_from).expect_partial()
    else:
      self.trainer.initialize()
