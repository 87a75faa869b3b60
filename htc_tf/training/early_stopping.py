"""The end of a training before its last step, if its evaluations no longer get better."""

from collections.abc import Sequence

from htc_tf.training.best_checkpoint import Best, is_better


class EarlyStopping:
  """The evaluations of a run, and whether it stops because of them.

  Args:
    metric: the figure that is watched.
    patience: number of evaluations in a row without a better figure; 0 to never stop.
    comparison: 'higher' or 'lower', whichever is better.
    history: (step, figure) of the evaluations of earlier starts.

  Attributes:
    last_step: step of the last evaluation; None if there was none.
  """

  def __init__(
    self,
    metric: str,
    patience: int,
    comparison: str = 'higher',
    history: Sequence[tuple[int, float]] = (),
  ):
    self.metric, self.patience = metric, patience
    self._comparison = comparison
    self.best: Best | None = None
    self.num_since_best = 0
    self.last_step: int | None = None
    for step, value in history:
      self.add(step, value)

  def add(self, step: int, value: float) -> None:
    """Add an evaluation. One without a figure, -1, counts neither as better nor as worse.

    Args:
      step: training step of the evaluation.
      value: its figure.
    """
    self.last_step = step
    if is_better(value, self.best, self._comparison):
      self.best, self.num_since_best = Best(step, value), 0
    elif value >= 0:
      self.num_since_best += 1

  @property
  def stops(self) -> bool:
    """Whether the run stops."""
    return 0 < self.patience <= self.num_since_best

  def describe(self) -> str:
    """A sentence about the evaluations that stop the run, and how to go on."""
    best = 'never measured'
    if self.best is not None:
      best = f'best at step {self.best.step}, {100 * self.best.value:.1f}'
    return (
      f'{self.metric} was {best}, and not better in the {self.num_since_best} evaluations since '
      f'then (trainer.patience={self.patience}). To go on, set trainer.patience to a larger '
      'number, or to 0'
    )
