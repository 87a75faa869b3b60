"""What a training reports every few steps: as a line, as TensorBoard scalars and as a table row."""

import dataclasses
from collections.abc import Mapping

from htc_tf.data.skipped import KINDS

_TOTAL, _DECAY, _RATE = 'total_loss', 'weight_decay', 'learning_rate'
_COUNTS = (*KINDS, 'skipped_steps')
# Model Garden's mean of the loss, which counts a skipped step as 0.
_UNUSED = ('training_loss',)
# Parts of the model that have losses.
PARTS = ('rpn', 'class', 'box', 'mask', 'semantic', 'context')
# Names of the kinds of AP, by the beginning of the name of a figure.
AP_KINDS = {'bbox': 'box', 'segm': 'mask'}
_GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Report:
  """The state of a training after some steps.

  Attributes:
    step: number of steps so far.
    num_steps: number of steps of the whole training.
    epoch: number of passes over the data so far.
    num_epochs: number of passes of the whole training.
    logs: means of losses and accuracies since the last report, the learning rate, and counts of
      skipped data and steps, by name.
    seconds_per_step: duration of a step; None if only a step that compiles was measured.
    images_per_second: number of images trained per second; None with `seconds_per_step`.
    seconds_left: expected time to the end of the run, with its evaluations; None if not known.
    memory: largest memory of the process so far, in bytes.
    gpu_memory: largest memory in use on the first GPU so far, in bytes; None without one.
  """

  step: int
  num_steps: int
  epoch: float
  num_epochs: float
  logs: Mapping[str, float]
  seconds_per_step: float | None = None
  images_per_second: float | None = None
  seconds_left: float | None = None
  memory: int = 0
  gpu_memory: int | None = None


def parts(logs: Mapping[str, float]) -> dict[str, float]:
  """Sums of the loss terms by part of the model, in the order of `PARTS`.

  Args:
    logs: loss terms by name, as `htc_loss.term_names` has them; other values are ignored.
  """
  sums: dict[str, float] = {}
  for name, value in logs.items():
    part = _part_of(name)
    if part is not None:
      sums[part] = sums.get(part, 0.0) + value
  return {part: sums[part] for part in PARTS if part in sums}


def _part_of(name: str) -> str | None:
  """The part of the model that a loss term belongs to; None for other values."""
  if not name.endswith('_loss') or name in (_TOTAL, *_UNUSED):
    return None
  first, *rest = name.removesuffix('_loss').removeprefix('assistant_').split('_')
  return rest[-1] if first.startswith('stage') else first


def line(report: Report) -> str:
  """The report as a line of text; columns of successive lines are aligned."""
  width = len(str(report.num_steps))
  epochs = f'{report.num_epochs:.1f}'
  texts = [
    f'epoch {report.epoch:{len(epochs)}.1f}/{epochs}',
    f'step {report.step:{width}d}/{report.num_steps}',
    f'loss {_short(report.logs[_TOTAL])}',
    *(f'{part} {_short(value)}' for part, value in parts(report.logs).items()),
    f'rate {report.logs[_RATE]:.1e}',
    _speed(report),
    f'{_time_left(report.seconds_left)} left',
    f'{report.memory / _GIB:.1f} GB',
  ]
  if report.gpu_memory is not None:
    texts.append(f'GPU {report.gpu_memory / _GIB:.1f} GB')
  texts += [f'{name} {report.logs[name]:.0f}' for name in _COUNTS if report.logs.get(name)]
  return '  '.join(texts)


def _speed(report: Report) -> str:
  if report.seconds_per_step is None or report.images_per_second is None:
    return f'{"-":>6} s/step  {"-":>5} images/s'
  return f'{report.seconds_per_step:6.3g} s/step  {report.images_per_second:5.3g} images/s'


def _short(value: float) -> str:
  """A loss with three decimals, or fewer if it is large, in six characters."""
  return f'{value:6.3f}' if abs(value) < 100 else f'{value:6.4g}'


def _time_left(seconds: float | None) -> str:
  return f'{"-":>9}' if seconds is None else f'{duration(seconds):>9}'


def duration(seconds: float) -> str:
  """A time as `m:ss`, `h:mm:ss` or days and hours."""
  minutes, rest = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours >= 48:
    return f'{hours // 24} d {hours % 24} h'
  return f'{hours}:{minutes:02d}:{rest:02d}' if hours else f'{minutes}:{rest:02d}'


def scalars(report: Report) -> dict[str, float]:
  """The report as TensorBoard scalars, whose names are grouped by what they measure."""
  values = {
    f'{_group_of(name)}/{name}': value for name, value in report.logs.items() if name not in _UNUSED
  }
  values['memory/process_gb'] = report.memory / _GIB
  if report.gpu_memory is not None:
    values['memory/gpu_gb'] = report.gpu_memory / _GIB
  if report.seconds_per_step is not None and report.images_per_second is not None:
    values['speed/seconds_per_step'] = report.seconds_per_step
    values['speed/images_per_second'] = report.images_per_second
  return values


def _group_of(name: str) -> str:
  if name in (_TOTAL, _DECAY) or name.endswith('_loss'):
    return 'loss'
  if name == _RATE:
    return 'rate'
  return 'accuracy' if name.endswith('_accuracy') else 'skipped'


def row(report: Report) -> dict[str, float]:
  """The report as a row of the table of results; sums of parts come before the single terms."""
  logs = report.logs
  values = {
    'epoch': round(report.epoch, 4),
    _RATE: logs[_RATE],
    _TOTAL: logs[_TOTAL],
    _DECAY: logs.get(_DECAY, 0.0),
    **{f'{part}_loss': value for part, value in parts(logs).items()},
    **{name: value for name, value in logs.items() if _part_of(name) is not None},
  }
  if report.seconds_per_step is not None:
    values['seconds_per_step'] = report.seconds_per_step
  return values


def figure_scalars(figures: Mapping[str, float]) -> dict[str, float]:
  """Figures of an evaluation as TensorBoard scalars, whose names are grouped."""
  return {f'{_figure_group(name)}/{name}': value for name, value in figures.items()}


def _figure_group(name: str) -> str:
  kind = AP_KINDS.get(name.partition('_')[0], 'skipped')
  return f'{kind}_by_category' if '_by_category/' in name else kind
