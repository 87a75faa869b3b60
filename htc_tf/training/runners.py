"""The runners of a single process, of the chief and of the other workers."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from absl import logging
from official.core import actions, base_task, train_lib, train_utils

from htc_tf import worker_exchange
from htc_tf.checkpoints import last_good
from htc_tf.configs.trainer import best_metric
from htc_tf.training.best_checkpoint import Best, BestCheckpoint
from htc_tf.training.console import Bar
from htc_tf.training.controller import Controller
from htc_tf.training.run_log import RunLog
from htc_tf.training.trainer import Trainer
from htc_tf.training.validation_pictures import ValidationPictures

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
    run_log: the reports of a training; None for an evaluation alone.
    writes: whether to write summaries and to show a progress bar.
    **kwargs: arguments of Model Garden's runner.
  """

  trainer: Trainer

  def __init__(
    self,
    continue_from: str | None,
    run_log: RunLog | None = None,
    writes: bool = True,
    **kwargs: Any,
  ):
    self._continue_from, self._run_log, self._writes = continue_from, run_log, writes
    super().__init__(**kwargs)
    if writes:
      task, number = self.params.task, self.params.trainer.num_pictures
      pictures = ValidationPictures(
        task.validation_data.input_path, number, task.model.sample_format
      )
      self.trainer.on_detections = pictures.write

  @property
  def best(self) -> BestCheckpoint | None:
    """The folder of the best checkpoint, if the run keeps it."""
    return self.trainer.checkpoint_exporter

  def _build_trainer(self, task: base_task.Task, train: bool, evaluate: bool) -> Trainer:
    with self.strategy.scope():
      return train_utils.create_trainer(
        self.params,
        task,
        train=train,
        evaluate=evaluate,
        checkpoint_exporter=self._build_best_checkpoint(),
        trainer_cls=Trainer,
      )

  def _build_best_checkpoint(self) -> BestCheckpoint | None:
    """The folder of the best checkpoint; none for an evaluation alone, maybe of other data.

    Every worker has one, because saving a checkpoint may need all of them.
    """
    config = self.params.trainer
    if not config.best_checkpoint_export_subdir or self._mode == 'eval':
      return None
    best = BestCheckpoint(
      self.model_dir,
      config.best_checkpoint_export_subdir,
      best_metric(config, self.params.task.model.include_mask),
      config.best_checkpoint_metric_comp,
      is_new_run='train' in self._mode and not last_good.step_of(self._continue_from),
    )
    of_chief = worker_exchange.from_chief(lambda: best.best)
    best.best = of_chief and Best(*of_chief)
    return best

  def _build_controller(
    self,
    trainer: Trainer | None,
    evaluator: Trainer,
    enable_async_checkpointing: bool = False,
    **_: Any,
  ) -> Controller:
    """The controller, without Model Garden's action that saves averages: checkpoints have them."""
    config, folder = self.params.trainer, self.model_dir if self._writes else None
    train_actions = trainer and actions.get_train_actions(
      self.params, trainer, self.model_dir, checkpoint_manager=self.checkpoint_manager
    )
    return Controller(
      run_log=self._run_log,
      strategy=self.strategy,
      trainer=trainer,
      evaluator=evaluator,
      global_step=self.trainer.global_step,
      steps_per_loop=config.steps_per_loop,
      checkpoint_manager=self.checkpoint_manager,
      enable_async_checkpointing=enable_async_checkpointing,
      summary_dir=folder and os.path.join(folder, 'train'),
      eval_summary_dir=folder and os.path.join(folder, config.validation_summary_subdir),
      summary_interval=config.summary_interval if folder else None,
      train_actions=train_actions,
    )

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
    step = int(self.trainer.global_step.numpy())
    is_shown = 'train' in self._mode and self._writes
    try:
      with (
        self.strategy.scope(),
        Bar(self.params.trainer.train_steps, step, None if is_shown else False) as bar,
      ):
        self.trainer.on_steps = bar.advance
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
      self.trainer.use_averages(True)
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
    super().__init__(continue_from, writes=False, **kwargs)

  def _maybe_build_checkpoint_manager(self) -> tf.train.CheckpointManager:
    return self._build_manager(1, self._restore_or_initialize)

  def _restore_or_initialize(self) -> None:
    if self._continue_from:
      self.trainer.restore(self._continue_from)
    else:
      self.trainer.initialize()
