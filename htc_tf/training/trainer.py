"""Model Garden's trainer with averaged weights in evaluations, and a call after each step."""

from collections.abc import Callable, Mapping
from typing import Any

import orbit
import tensorflow as tf
import tf_keras
from absl import logging
from official.core import base_trainer

from htc_tf.checkpoints.momentum import check_momentum
from htc_tf.evaluation import metrics
from htc_tf.evaluation.coco_evaluator import COCOEvaluator
from htc_tf.training.averages import Averages

# Steps of several replicas that one call of a graph makes. Each call exchanges the values of the
# replicas under new keys, of which TensorFlow keeps about 2 kB for ever: of 100 synchronized norms
# 0.6 MB a step, were each step a call. A signal waits until the call ends.
_STEPS_PER_CALL = 10


class Trainer(base_trainer.Trainer):
  """The trainer of a run.

  Args:
    *args: arguments of Model Garden's trainer.
    train: whether it trains.
    **kwargs: keyword arguments of Model Garden's trainer.
  """

  def __init__(self, *args: Any, train: bool = True, **kwargs: Any):
    super().__init__(*args, train=train, **kwargs)
    self._trains = train
    self._averages = Averages.of(self.optimizer)
    # Called with the number of steps that were made since the last call, if the loop is in Python.
    self.on_steps: Callable[[int], None] = lambda number: None
    # Called with the evaluator and the step after each evaluation.
    self.on_detections: Callable[[COCOEvaluator, int], None] = lambda evaluator, step: None

  def initialize(self) -> None:
    """Initialize the model as the task does, and the averages from it."""
    super().initialize()
    if self._averages is not None:
      self._averages.start()

  def restore(self, prefix: str) -> None:
    """Restore a checkpoint; the model then holds the weights for its mode.

    Args:
      prefix: prefix of the checkpoint.

    Raises:
      ConfigError: it would train on without the momentum of the checkpoint.
    """
    if self._trains:
      check_momentum(prefix, self.optimizer)
    self.checkpoint.restore(prefix).expect_partial()
    if self._averages is not None:
      self._averages.restored(prefix)
      self.use_averages(not self._trains)

  def use_averages(self, in_model: bool) -> None:
    """Let the model hold the averaged weights or the trained ones, if weights are averaged.

    Args:
      in_model: whether the model is to hold the averages.
    """
    if self._averages is not None:
      self._averages.use(in_model)

  def create_train_loop_fn(self) -> Callable[..., Any]:
    """The loop over training steps; a Python loop calls `on_steps` after one or some of them."""
    options = self._train_options
    if options.use_tf_while_loop:
      return super().create_train_loop_fn()
    if options.use_tf_function and self.strategy.num_replicas_in_sync > 1:
      return self._loop_in_parts()
    step = tf.function(self.train_step) if options.use_tf_function else self.train_step

    def step_and_call(iterator: Any) -> None:
      step(iterator)
      self.on_steps(1)

    return orbit.utils.create_loop_fn(step_and_call)

  def _loop_in_parts(self) -> Callable[[Any, tf.Tensor], None]:
    """A Python loop over graphs of up to `_STEPS_PER_CALL` steps."""
    call = tf.function(orbit.utils.create_tf_while_loop_fn(self.train_step))

    def loop(iterator: Any, num_steps: tf.Tensor) -> None:
      left = int(num_steps)
      while left > 0:
        number = min(left, _STEPS_PER_CALL)
        call(iterator, tf.constant(number))
        self.on_steps(number)
        left -= number

    return loop

  def train_loop_end(self) -> dict[str, Any]:
    """Means of losses and other values; the learning rate is that of the last step.

    Model Garden's is that of the next step, so that every cosine would end with a rate of 0.
    """
    self.join()
    logs = dict(self._take_means())
    # A graph would hold the first value of a metric that is counted in Python.
    logs.update(
      {metric.name: metric.result() for metric in self._metrics() if not metric.variables}
    )
    rate, num_steps = self.optimizer.learning_rate, self.optimizer.iterations
    logs['learning_rate'] = rate(tf.maximum(num_steps - 1, 0)) if callable(rate) else rate
    return logs

  @tf.function(autograph=False)
  def _take_means(self) -> dict[str, tf.Tensor]:
    """The means since the last call by name, which start again.

    As one graph, because every metric that is read eagerly exchanges its values between workers
    under a new key, and TensorFlow keeps 2 kB for each of them for ever.
    """
    means = {}
    for metric in self._metrics():
      if metric.variables:
        means[metric.name] = metric.result()
        metric.reset_states()
    return means

  def _metrics(self) -> list[tf_keras.metrics.Metric]:
    return [*self.train_metrics, self.train_loss]

  def eval_begin(self) -> None:
    """Let the model hold the weights to evaluate."""
    self.use_averages(True)

  def eval_end(self, aggregated_logs: COCOEvaluator | None = None) -> Mapping[str, Any]:
    """The figures of an evaluation; a checkpoint that is the best so far is kept.

    Args:
      aggregated_logs: the evaluator with the detections; None if there were none.
    """
    figures, step = {}, int(self.global_step.numpy())
    if aggregated_logs is not None:
      figures = dict(self.task.reduce_aggregated_logs(aggregated_logs, self.global_step))
      self.on_detections(aggregated_logs, step)
      if not self._trains:
        number, table = aggregated_logs.num_images, metrics.format_table(figures)
        logging.info('Evaluation of %d images:\n%s', number, table)
    if self.checkpoint_exporter is not None and figures:
      self.checkpoint_exporter.maybe_export_checkpoint(self.checkpoint, figures, step)
    if self._trains:
      self.use_averages(False)
    return figures
