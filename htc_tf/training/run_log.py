"""The reports of a training: log, table and curves in the model directory."""

from collections.abc import Mapping

from absl import logging
from official.core import config_definitions as cfg

from htc_tf.configs import schedule
from htc_tf.training import report as report_lib
from htc_tf.training import results_plot, speed
from htc_tf.training.early_stopping import EarlyStopping
from htc_tf.training.results_table import ResultsTable

# Figures of an evaluation in the table of results, beside the one that decides on the best.
_FIGURES = ('AP', 'AP50', 'AP75')
# Those that the line of an evaluation shows.
_SHOWN_FIGURES = ('bbox_AP', 'bbox_AP50', 'segm_AP', 'segm_AP50')
# The curves are drawn after each evaluation, and without evaluations after so many reports.
_REPORTS_PER_PLOT = 10
# A step reports early, so that a user sees that the training works.
_EARLY_STEPS = 10


def steps_to_report(step: int, start: int, interval: int) -> int:
  """Number of steps until the next report.

  The first report of a start comes after one step, which compiles the model, and the next one when
  ten steps are done. All others come at multiples of the interval.

  Args:
    step: number of steps so far.
    start: number of steps at the start.
    interval: steps between reports.
  """
  if step == start:
    return 1
  to_multiple = interval - step % interval
  return (
    min(to_multiple, start + _EARLY_STEPS - step) if step < start + _EARLY_STEPS else to_multiple
  )


def evaluations_left(step: int, num_steps: int, interval: int) -> int:
  """Number of evaluations from a step on, which itself counts; the last step has one.

  Args:
    step: number of steps so far, at least 1.
    num_steps: number of steps of the training.
    interval: steps between evaluations; 0 for one at the end.
  """
  interval = interval or num_steps
  return -(-num_steps // interval) - (step - 1) // interval


class RunLog:
  """The reports of one start of a training.

  All workers of a run measure and decide the same, and only the chief shows and writes it.

  Args:
    params: the experiment.
    num_images: number of training images.
    start: step at which this start continues.
    stopping: the evaluations that may end the training.
    model_dir: the model directory; None to neither show nor write anything.

  Attributes:
    start: step at which this start continues.
    stopping: the evaluations that may end the training.
    best_figures: figures of the best evaluation, if it was in this start; else empty.
  """

  def __init__(
    self,
    params: cfg.ExperimentConfig,
    num_images: int,
    start: int,
    stopping: EarlyStopping,
    model_dir: str | None,
  ):
    self._params, self._num_images = params, num_images
    self.start, self.stopping = start, stopping
    self.best_figures: dict[str, float] = {}
    self._speed = speed.Speed()
    self._reports_since_plot = 0
    self._model_dir = model_dir
    self._table = ResultsTable(model_dir, start) if model_dir else None

  def report(
    self, step: int, num_steps: int, logs: Mapping[str, float], seconds: float
  ) -> dict[str, float]:
    """Report some steps; return them as TensorBoard scalars.

    Args:
      step: number of steps so far.
      num_steps: number of steps since the last report.
      logs: their losses and other values.
      seconds: their duration.
    """
    if step - num_steps != self.start:
      self._speed.add_steps(num_steps, seconds)
    found = self._describe(step, logs)
    if self._table is not None:
      logging.info('%s', report_lib.line(found))
      self._table.add(step, report_lib.row(found))
      self._reports_since_plot += 1
      if self._reports_since_plot == _REPORTS_PER_PLOT:
        self._plot()
    return report_lib.scalars(found)

  def evaluated(self, step: int, figures: Mapping[str, float], seconds: float) -> None:
    """Report an evaluation.

    Args:
      step: number of steps so far.
      figures: figures of the evaluation.
      seconds: its duration.
    """
    self._speed.seconds_per_evaluation = seconds
    if self.stopping.metric in figures:
      self.stopping.add(step, figures[self.stopping.metric])
      if self.stopping.best is not None and self.stopping.best.step == step:
        self.best_figures = dict(figures)
    if self._table is not None:
      logging.info('%s', self._describe_evaluation(step, figures, seconds))
      names = [f'{kind}_{name}' for kind in report_lib.AP_KINDS for name in _FIGURES]
      names = [*dict.fromkeys([*names, self.stopping.metric])]
      values = {name: figures[name] for name in names if name in figures}
      self._table.add(step, {'epoch': round(self._epochs(step), 4), **values})
      self._plot()

  def _describe_evaluation(self, step: int, figures: Mapping[str, float], seconds: float) -> str:
    metric, best = self.stopping.metric, self.stopping.best
    text = f'epoch {self._epochs(step):.1f} evaluated in {report_lib.duration(seconds)}: '
    shown = dict.fromkeys([*_SHOWN_FIGURES, metric])
    text += ', '.join(
      f'{_spoken(name)} {_percent(figures[name])}' for name in shown if name in figures
    )
    if best is not None:
      other = f', best {100 * best.value:.1f} at step {best.step}'
      text += ', the best so far' if best.step == step else other
    return text

  def finish(self) -> None:
    """Draw the curves at the end of a training."""
    self._plot()

  def _plot(self) -> None:
    """Draw the curves, if this process writes them and there is something to draw."""
    self._reports_since_plot = 0
    if self._table is not None and self._model_dir and self._table.rows:
      results_plot.write(self._model_dir, self._table.rows)

  def _describe(self, step: int, logs: Mapping[str, float]) -> report_lib.Report:
    trainer = self._params.trainer
    seconds = self._speed.seconds_per_step
    batch = self._params.task.train_data.global_batch_size
    return report_lib.Report(
      step=step,
      num_steps=trainer.train_steps,
      epoch=self._epochs(step),
      num_epochs=self._epochs(trainer.train_steps),
      logs=logs,
      seconds_per_step=seconds,
      images_per_second=batch / seconds if seconds else None,
      seconds_left=self._speed.seconds_left(
        trainer.train_steps - step,
        evaluations_left(step, trainer.train_steps, trainer.validation_interval),
      ),
      memory=speed.process_memory(),
      gpu_memory=speed.gpu_memory(),
    )

  def _epochs(self, step: int) -> float:
    batch = self._params.task.train_data.global_batch_size
    return step / schedule.steps_per_epoch(self._num_images, batch)


def _spoken(name: str) -> str:
  """The name of a figure for people, such as mask AP50."""
  kind, _, figure = name.partition('_')
  kinds = report_lib.AP_KINDS
  return f'{kinds[kind]} {figure}' if kind in kinds else name


def _percent(value: float) -> str:
  return f'{100 * value:.1f}' if value >= 0 else '-'
