"""The runs of the ablation: each trains in its own process and leaves a file of its figures."""

import json
import os
import sys
import time
from typing import Any, NamedTuple

import yaml

from benchmarks import kept_runs
from benchmarks.ablation import rows
from htc_tf import files
from htc_tf.errors import TrainingError
from htc_tf.training import results_table

_FIGURES = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl')
_KINDS = ('bbox', 'segm')


class Budget(NamedTuple):
  """What all runs of a table have in common.

  Attributes:
    size: name of the size of the model.
    image_size: longest side of resized images in pixels.
    batch_size: number of images per step.
    epochs: number of passes over the training pictures.
    num_images: number of training pictures.
  """

  size: str
  image_size: int
  batch_size: int
  epochs: int
  num_images: int

  @property
  def num_steps(self) -> int:
    """Number of steps of a run."""
    return self.epochs * (self.num_images // self.batch_size)


class Run(NamedTuple):
  """A training of one row with one seed.

  Attributes:
    row: the row.
    seed: its seed.
    folder: folder of all runs.
  """

  row: rows.Row
  seed: int
  folder: str

  @property
  def name(self) -> str:
    """Name of the run in files."""
    return f'{self.row.name}_{self.seed}'

  @property
  def path(self) -> str:
    """File of the figures of the finished run."""
    return os.path.join(self.folder, f'{self.name}.json')


def settings(run: Run, budget: Budget) -> dict[str, Any]:
  """Everything that the figures of a run depend on, except the code and the data."""
  return {
    'row': run.row.name,
    'seed': run.seed,
    'budget': budget._asdict(),
    'overrides': [run.row.overrides, rows.common(run.seed, budget.num_steps)],
  }


def read(run: Run, budget: Budget) -> dict[str, Any] | None:
  """The figures of a finished run; None if it is not finished.

  Raises:
    ConfigError: the run was made with other settings.
  """
  if not os.path.exists(run.path):
    return None
  with open(run.path, encoding='ascii') as file:
    result: dict[str, Any] = json.load(file)
  kept_runs.check_settings(run.path, result['settings'], settings(run, budget))
  return result


def train(run: Run, budget: Budget, records: str) -> dict[str, Any]:
  """Train and evaluate in another process, from the last checkpoint of an interrupted start.

  Args:
    run: the run.
    budget: the budget.
    records: folder of the records.

  Returns:
    The figures, which are also in the file of the run: `settings`, `seconds` (of this and earlier
    starts), `starts` (their number), `curve` (a list of evaluations, each with `step` and figures
    such as `segm_AP`), and `figures` (those after the last step).

  Raises:
    ConfigError: an interrupted start had other settings.
    TrainingError: the process failed.
  """
  model_dir = os.path.join(run.folder, run.name)
  os.makedirs(model_dir, exist_ok=True)
  kept_runs.keep_settings(os.path.join(model_dir, 'settings.json'), settings(run, budget))
  overrides = [run.row.overrides, rows.common(run.seed, budget.num_steps)]
  names = [os.path.join(model_dir, name) for name in ('row.yaml', 'common.yaml')]
  for name, content in zip(names, overrides):
    files.write_bytes(name, yaml.safe_dump(content).encode())
  starts = _add_start(model_dir)
  begin = time.monotonic()
  try:
    kept_runs.call(_command(model_dir, names, budget, records), os.path.join(model_dir, 'log.txt'))
  finally:
    starts[-1] = time.monotonic() - begin
    kept_runs.write_json(_starts_path(model_dir), starts)
  curve = _curve(model_dir, budget.num_steps)
  if not curve or curve[-1]['step'] != budget.num_steps:
    raise TrainingError(
      f'The training {run.name} ended without an evaluation of its last step',
      expected=f'step {budget.num_steps} in {model_dir}/results.csv',
      got=f'step {curve[-1]["step"]:.0f}' if curve else 'no evaluation',
    )
  result = {
    'settings': settings(run, budget),
    'seconds': sum(starts),
    'starts': len(starts),
    'curve': curve,
    'figures': {name: value for name, value in curve[-1].items() if name != 'step'},
  }
  kept_runs.write_json(run.path, result)
  return result


def _command(model_dir: str, names: list[str], budget: Budget, records: str) -> list[str]:
  return [
    sys.executable,
    '-m',
    'htc_tf.cli.train',
    '--mode=train_and_eval',
    f'--data={records}',
    f'--size={budget.size}',
    f'--image_size={budget.image_size}',
    f'--batch_size={budget.batch_size}',
    f'--epochs={budget.epochs}',
    f'--model_dir={model_dir}',
    *(f'--config_file={name}' for name in names),
  ]


def _starts_path(model_dir: str) -> str:
  return os.path.join(model_dir, 'starts.json')


def _add_start(model_dir: str) -> list[float]:
  """Seconds of all starts so far, with 0 for the new one."""
  path, starts = _starts_path(model_dir), []
  if os.path.exists(path):
    with open(path, encoding='ascii') as file:
      starts = json.load(file)
  return [*starts, 0.0]


def _curve(model_dir: str, num_steps: int) -> list[dict[str, float]]:
  """The evaluations of a run; a figure is left out if it does not exist (-1)."""
  names = ['step', *(f'{kind}_{figure}' for kind in _KINDS for figure in _FIGURES)]
  table = results_table.ResultsTable(model_dir, num_steps)
  return [
    {name: row[name] for name in names if row.get(name, -1) >= 0}
    for row in table.rows
    if 'segm_AP' in row
  ]
